// Landmark attention, backward, for the tensor cores of any card from sm_80 on.
//
// With W the attention matrix of the forward pass, G its gates' log-sum, g_j = dO . v_j and delta = rowsum(dO * O)
// (landmark-attention.md 1.5):
//
//   past block   A_b[j] = e^{s_j} / l_b,  P_b = e^{s_lambda - G},  W_j = P_b A_b[j],  D_b = sum_j A_b[j] g_j
//                dS_j = W_j (g_j - D_b),  dS_lambda = P_b (D_b - delta)
//   own block    W_j = e^{s_j - G},       dS_j = W_j (g_j - delta)
//   dV = W^T dO,  dK = dS^T Q * scale,  dQ = dS K * scale
//
// So of a row and a block two numbers are enough for every key of it, whatever else the block holds: a level and what to take away,
//
//   token        W_j = e^{s_j - level},  dS_j = W_j (g_j - less):   past (log l_b - s_lambda + G, D_b),  own (G, delta)
//   landmark     w = e^{s_lambda - G},   dS_lambda = w (0 - less):  (G, delta - D_b)
//
// A first kernel takes tiles of queries through the blocks that they see, makes dQ, and writes these numbers (Slope) down; a
// second takes tiles of keys, which may end anywhere in a block, through the queries that see them, and makes dK and dV, those of the
// query heads of a key-value head one after the other. Every sum has one order: equal inputs give equal bits. Numbers of all queries
// and all blocks would grow with the square of the sequence: both kernels are launched for some queries at a time, and dK and dV
// are carried over in float32.
//
// Compile-time: as forward, and for the second kernel KEY_WARPS, SPLIT (1 or 2 warps for 16 keys), QUERY_ROWS of a tile (a multiple of
// 16 * SPLIT), STAGES (1 or 2: tiles of queries in shared memory).
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 WARPS=4 COLUMNS=64 CHUNKS=1 TILE_BLOCKS=1 KEY_WARPS=4 SPLIT=1 QUERY_ROWS=32 STAGES=2
// check: ELEMENT=f16 HEAD_DIM=256 BLOCK=200 WARPS=4 COLUMNS=64 CHUNKS=4 TILE_BLOCKS=1 KEY_WARPS=4 SPLIT=2 QUERY_ROWS=32 STAGES=2
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51 WARPS=8 COLUMNS=56 CHUNKS=1 TILE_BLOCKS=2 KEY_WARPS=4 SPLIT=1 QUERY_ROWS=64 STAGES=1 PACKED=1 CHOICE=1 DROPOUT=1
#include "mma_gates.cuh"

struct __align__(8) Slope { float level, less; };           // level in units of log2

#include "backward_delta.cuh"
#include "mma_backward_keys.cuh"
#include "mma_backward_queries.cuh"
