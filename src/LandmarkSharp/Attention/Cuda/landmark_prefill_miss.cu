// Prefill with retrieval, before its halves, of a model with a context-miss token (landmark-attention.md 1.7): who retrieves. The
// token competes with the query's window alone: with the tokens of its own block and the landmarks of those before.
//
//   s_miss  = R(place + min(m, k + 1) L + 1) q . key        the token stands before the text or, of m > k blocks, before slot 0
//   P_miss  = e^s_miss / (e^s_miss + sum_b e^{g_b})         g_b of the window's blocks, as landmark_prefill.cu has them
//
// Forms are sums of two 16-bit rows, so that who retrieves here does in decoding.
//
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51
// check: ELEMENT=bf16 HEAD_DIM=256 BLOCK=256
#include "prefill.cuh"

// Grid (tiles of queries, H). miss [G, D]: the token's keys, not rotated. scores [H, T]: s_miss, times log2 e. reads [H, T]: all
// there are up to k, or 0 where P_miss is below the cut-off. dropped: one more for each of the latter that has blocks before it.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_miss(
    const T* queries, const T* blocks, const T* landmarks, const T* miss, const float* angles, float* scores, int* reads,
    u32* dropped, const __grid_constant__ Sizes z)
{
    __shared__ Rows rows;
    const int head = blockIdx.y, group = head / (z.heads / z.groups);
    const Tile tile = tile_at(blockIdx.x, 0, z.queries, z);
    if (tile.begin >= tile.end) return;
    const Window window(tile.window, z);
    const u32 form = dynamic_shared(), rest = form + kTileBytes, keys = rest + kTileBytes;
    fill_rows(rows, tile, tile.place, [&](int row) { return queries + head * z.queryHead + (tile.query + row) * z.queryPosition; });

    // Scores of the tile's rows, turned back by so many positions, for a block's rows.
    float s[kColumns / 8][4];
    auto score_block = [&](const T* from, int count, const T* other, int back) {
        __syncthreads();
        load_block(keys, from, count, other);
        copy_commit();
        turn_rows<true>(form, rest, rows, back, angles);
        copy_wait<0>();
        __syncthreads();
        score<kColumns>(s, rows_at(form), keys);
        add_scores<kColumns>(s, rows_at(rest), keys);
    };

    Gate gate[2];
    for (int block = 0; block * L < tile.place + tile.end; block++) {
        const T* mark = landmarks + group * z.landmarkGroup + (long long)(window.inMemory + block) * D;
        score_block(block_at(blocks, window.inMemory + block, group, z), kTokens, mark, block * L);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int place = tile.place + row_of(r) - block * L;
            const float logit = gate_logit(inside(s, r, seen(place), z.scale), place);
            gate[r].raise(logit);
            gate[r].sum += gate[r].share(logit);
        }
    }
    // The token is a block whose landmark is its key.
    score_block(miss + group * D, 0, miss + group * D, -smaller(window.inMemory, window.taken + 1) * L - 1);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float token = inside(s, r, 0, z.scale).landmark;
        const float mass = 1 / (1 + gate[r].sum * power_of_2(gate[r].greatest - token));
        const bool mine = lane_index() % 4 == 0 && tile.has(row_of(r)), drops = mine && mass < z.cutoff;
        const long long at = (long long)head * z.queries + tile.query + row_of(r);
        if (mine) scores[at] = token, reads[at] = drops ? 0 : window.taken;
        const u32 lost = ballot(drops && window.inMemory > 0);
        if (lost != 0 && lane_index() == 0) atomic_add(dropped, bits_set(lost));
    }
}
