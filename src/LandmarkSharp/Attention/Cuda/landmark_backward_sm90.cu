// Landmark attention, backward, for Hopper's tensor cores and copy engine.
//
// With W the attention matrix of the forward pass, G its gates' log-sum, g_j = dO . v_j and delta = rowsum(dO * O)
// (landmark-attention.md 1.5):
//
//   past block   A_b[j] = e^{s_j} / l_b,  P_b = e^{s_lambda - G},  W_j = P_b A_b[j],  D_b = sum_j A_b[j] g_j
//                dS_j = W_j (g_j - D_b),  dS_lambda = P_b (D_b - delta)
//   own block    W_j = e^{s_j - G},       dS_j = W_j (g_j - delta)
//   dV = W^T dO,  dK = dS^T Q * scale,  dQ = dS K * scale
//
// D_b needs no product of its own: its summands are in registers. A thread block has two spans of 64 columns of keys, one a
// warpgroup, and goes through the queries that see them in tiles of 64, the last ones first. Sums over keys of dQ are added in
// memory in the keys' order, one thread block after the other, so equal inputs give equal bits: a thread block with earlier keys
// began earlier and sees every tile that a later one does, so nobody waits for one that has not begun.
//
// Compile-time: as forward, HEAD_DIM to 128, and SPAN_BLOCKS; blocks of more than 64 columns lie across both spans.
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 COLUMNS=64 SPAN_BLOCKS=1
// check: ELEMENT=f16 HEAD_DIM=96 BLOCK=100 COLUMNS=104 SPAN_BLOCKS=1
// check: ELEMENT=f16 HEAD_DIM=64 BLOCK=32 COLUMNS=32 SPAN_BLOCKS=2 PACKED=1 CHOICE=1 DROPOUT=1
#include "gates.cuh"
#include "shared.cuh"
#include "wgmma.cuh"


#ifdef __CUDA_ARCH_FEAT_SM90_ALL

typedef ELEMENT T;

constexpr int D = HEAD_DIM, L = BLOCK, C = COLUMNS;
constexpr bool SPLIT = L > 64;                              // one block in both spans
constexpr int NB = SPLIT ? 1 : SPAN_BLOCKS, N = SPLIT ? 64 : NB * C, TILE_BLOCKS = SPLIT ? 1 : 2 * NB;
constexpr int CHUNKS = (D + 63) / 64, ROWS = 64, STAGES = 2;
constexpr int TILE_BYTES = CHUNKS * 128 * 128, QUERY_BYTES = CHUNKS * ROWS * 128, WEIGHT_BYTES = ROWS * 128;
constexpr int PARTS = 64 * 64;                              // floats of dQ that a warpgroup makes at a time

struct Shape {
    int heads, groups, queries, keys, pad, queryTiles, keyTiles, headsTogether, batchGroups;
    int blocks, documentRow;                                // of the sequence; numbers in a row of documents
    float scale, scaleLog2;
    Dropout dropout;
};

#include "backward_gates.cuh"

// A span's W or dS, [64 queries, 64 columns], into shared memory with 128-byte rows, swizzled as the copy engine does.
DEVICE void store(u32 to, const float (&x)[N / 2]) {
    const int row = threadIdx.x % 128 / 32 * 16 + lane_index() / 4;
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            store_shared(to + (row + 8 * r) * 128 + ((j ^ (row & 7)) << 4) + (lane_index() & 3) * 4, pack<T>(x[4 * j + 2 * r], x[4 * j + 2 * r + 1]));
}

extern "C" __global__ void __launch_bounds__(384, 1) landmark_backward_sm90(
    const __grid_constant__ TensorMap queryMap, const __grid_constant__ TensorMap keyMap, const __grid_constant__ TensorMap valueMap,
    const __grid_constant__ TensorMap gradientMap, const float *__restrict__ logSum, const float *__restrict__ delta, const int *__restrict__ documents,
    const u8 *__restrict__ choices,
    T *__restrict__ keyGradient, T *__restrict__ valueGradient, float *__restrict__ queryParts,
    u32 *__restrict__ turns, u32 *__restrict__ ticket, const __grid_constant__ Shape shape)
{
    const u32 base = dynamic_shared();
    Shared shared;
    shared.keys = base;
    shared.values = shared.keys + TILE_BYTES;
    shared.queries = shared.values + TILE_BYTES;
    shared.gradients = shared.queries + STAGES * QUERY_BYTES;
    shared.weights = shared.gradients + STAGES * QUERY_BYTES;
    shared.slopes = shared.weights + 2 * WEIGHT_BYTES;
    shared.parts = shared.slopes + 2 * STAGES * WEIGHT_BYTES;
    shared.halves = shared.parts + 2 * PARTS * 4;
    shared.keyFull = shared.halves + 2 * 2048;
    shared.full = shared.keyFull + 8;
    shared.free = shared.full + 8 * STAGES;
    shared.ready = shared.free + 8 * STAGES;
    shared.idle = shared.ready + 2 * 8 * STAGES;
    const u32 work = shared.idle + 2 * 8 * STAGES;

    if (threadIdx.x == 0) {
        // Work is taken in the order in which thread blocks begin, whatever order that is.
        store_shared(work, atomic_add(ticket, 1));
        barrier_init(shared.keyFull, 1);
        for (int i = 0; i < STAGES; i++) {
            barrier_init(shared.full + 8 * i, 1);
            barrier_init(shared.free + 8 * i, 2);
        }
        for (int i = 0; i < 2 * STAGES; i++) {
            barrier_init(shared.ready + 8 * i, 1);
            barrier_init(shared.idle + 8 * i, 4);
        }
        barrier_init_fence();
    }
    // Columns and rows that no copy fills must be numbers.
    for (u32 at = base + threadIdx.x * 16; at < shared.queries; at += 384 * 16) store_shared(at, 0.f, 0.f, 0.f, 0.f);
    for (u32 at = shared.weights + threadIdx.x * 16; at < shared.parts; at += 384 * 16) store_shared(at, 0.f, 0.f, 0.f, 0.f);
    async_proxy_fence();
    __syncthreads();

    const int item = load_shared(work);
    const int perSet = shape.headsTogether * shape.keyTiles, set = item / perSet;
    const int together = smaller(shape.headsTogether, shape.batchGroups - set * shape.headsTogether);
    const int batchGroup = set * shape.headsTogether + (item - set * perSet) % together, tile = (item - set * perSet) / together;
    const int perGroup = shape.heads / shape.groups;
    const int batch = batchGroup / shape.groups, keyHead = batchGroup % shape.groups, firstHead = keyHead * perGroup;
    const int shift = shape.keys - shape.queries + shape.pad, firstBlock = tile * TILE_BLOCKS;
    // Queries that see a block of the tile: from its first block on, to the end of its last block's document.
    const int earliest = firstBlock * L - shift, firstTile = earliest > 0 ? earliest / ROWS : 0;
    const int latest = smaller(document_end(documents, shape, batch, firstBlock + TILE_BLOCKS - 1) * L - shift, shape.queries) - 1;
    const int lastTile = latest < 0 ? -1 : latest / ROWS, perHead = lastTile < firstTile ? 0 : lastTile - firstTile + 1;
    const int count = perHead * perGroup;

    if (threadIdx.x < 128) {
        registers_lower<24>();
        if (threadIdx.x == 0) {
            barrier_arrive_expect(shared.keyFull, 2 * CHUNKS * (SPLIT ? C : TILE_BLOCKS * C) * 128);
            for (int c = 0; c < CHUNKS; c++)
                for (int b = 0; b < TILE_BLOCKS; b++) {
                    const int row = SPLIT ? 0 : b / NB * 64 + b % NB * C;
                    load_box(shared.keys + (c * 128 + row) * 128, keyMap, shared.keyFull, c * 64, (firstBlock + b) * L - shape.pad, keyHead, batch);
                    load_box(shared.values + (c * 128 + row) * 128, valueMap, shared.keyFull, c * 64, (firstBlock + b) * L - shape.pad, keyHead, batch);
                }
            for (int i = 0; i < count; i++) {
                const int stage = i % STAGES, head = firstHead + i / perHead, row = (lastTile - i % perHead) * ROWS;
                if (i >= STAGES) barrier_wait(shared.free + 8 * stage, (i / STAGES - 1) & 1);
                barrier_arrive_expect(shared.full + 8 * stage, 2 * QUERY_BYTES);
                for (int c = 0; c < CHUNKS; c++) {
                    load_box(shared.queries + stage * QUERY_BYTES + c * ROWS * 128, queryMap, shared.full + 8 * stage, c * 64, row, head, batch);
                    load_box(shared.gradients + stage * QUERY_BYTES + c * ROWS * 128, gradientMap, shared.full + 8 * stage, c * 64, row, head, batch);
                }
            }
        } else if (const int span = (int)threadIdx.x / 32 - 1; span == 0 || span == 1) {
            // A warp for each span adds the part of dQ that the span made in memory, when it is this tile's turn.
            const u32 parts = shared.parts + span * PARTS * 4;
            for (int i = 0; i < count; i++) {
                if (CHUNKS == 1 && span != i % 2) continue;
                const int queryTile = lastTile - i % perHead, head = batch * shape.heads + firstHead + i / perHead;
                const int at = (head * shape.queryTiles + queryTile) * CHUNKS + (CHUNKS == 1 ? 0 : span);
                const int turn = tile - document(documents, shape, batch, (queryTile * ROWS + shift) / L) / TILE_BLOCKS;
                named_sync(8 + span, 128 + 32);            // the part is in shared memory
                if (lane_index() == 0) {
                    while (load_acquire(turns + at) != (u32)turn) { }
                    if (turn == 0) bulk_store(queryParts + (long long)at * PARTS, parts, PARTS * 4);
                    else bulk_add(queryParts + (long long)at * PARTS, parts, PARTS * 4);
                    bulk_commit();
                    bulk_wait_read();
                }
                warp_sync();
                if (i + 3 - CHUNKS < count) named_arrive(10 + span, 128 + 32);     // it may be written again
                if (lane_index() == 0) {
                    bulk_wait();
                    store_release(turns + at, turn + 1);
                }
            }
        }
        return;
    }
    registers_raise<240>();
    const int span = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 % 4, block = firstBlock + (SPLIT ? 0 : span * NB);
    const u32 keys = shared.keys + span * 64 * 128, values = shared.values + span * 64 * 128;
    const u32 weights = shared.weights + span * WEIGHT_BYTES, parts = shared.parts + span * PARTS * 4;
    float dk[D / 2], dv[D / 2], s[N / 2];
#pragma unroll
    for (int i = 0; i < D / 2; i++) dk[i] = dv[i] = 0;
    Row rows[2];
    const u8 *choice = choices + batch * (shape.blocks + 1);

    // Waits for a tile of queries, and begins S = Q Kᵀ.
    auto begin = [&](int i) {
        const int head = firstHead + i / perHead, first = (lastTile - i % perHead) * ROWS;
        const u32 queries = shared.queries + i % STAGES * QUERY_BYTES;
        barrier_wait(shared.full + 8 * (i % STAGES), i / STAGES & 1);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < D / 16; k++)
            wgmma<T, N>(s,
                matrix_at<128>(queries + (k / 4) * ROWS * 128 + (k % 4) * 32),
                matrix_at<128>(keys + (k / 4) * 128 * 128 + (k % 4) * 32), k > 0);
        wgmma_commit();
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int at = first + warp * 16 + lane_index() / 4 + 8 * r;
            const bool there = at < shape.queries;
            const long long row = (long long)(batch * shape.heads + head) * shape.queries + at;
            rows[r] = { document(documents, shape, batch, (at + shift) / L), (at + shift) / L, (at + shift) % L, there ? logSum[row] : infinity(), there ? delta[row] : 0,
                random_of_row(shape.dropout, row) };
        }
    };
    // dQ = dS K over both spans: a warpgroup makes 64 of its columns, or those of every second tile if there are no more.
    bool written = false;
    auto makes = [&](int i) { return CHUNKS == 2 || (i + 2) % 2 == span; };
    auto begin_query_gradient = [&](float (&dq)[32], int i) {
        if (i >= 0) barrier_wait(shared.ready + 8 * ((1 - span) * STAGES + i % STAGES), i / STAGES & 1);
        wgmma_fence();
        const u32 slopes = shared.slopes + (i + STAGES) % STAGES * 2 * WEIGHT_BYTES, chunk = CHUNKS == 2 ? span : 0;
#pragma unroll
        for (int k = 0; k < 8; k++)
            wgmma<T, 64, 0, 1>(dq,
                matrix_at<128>(slopes + (k / 4) * WEIGHT_BYTES + (k % 4) * 32),
                matrix_at<128>(shared.keys + chunk * 128 * 128 + k * 2048, 0, 1024), k > 0);
        wgmma_commit();
    };
    auto give_query_gradient = [&](const float (&dq)[32], int i) {
        if (lane_index() == 0) barrier_arrive(shared.idle + 8 * ((1 - span) * STAGES + i % STAGES));
        if (!makes(i)) return;
        if (written) named_sync(10 + span, 128 + 32);      // the last part has been read
        written = true;
#pragma unroll
        for (int j = 0; j < 32; j++) store_shared(parts + (j * 128 + threadIdx.x % 128) * 4, as_bits(dq[j]));
        async_proxy_fence();
        named_arrive(8 + span, 128 + 32);
    };

    barrier_wait(shared.keyFull, 0);
    if (count > 0) begin(0);
    wgmma_wait<0>();
    wgmma_keep(s);
    for (int i = 0; i < count; i++) {
        const int stage = i % STAGES, queryTile = lastTile - i % perHead;
        const u32 queries = shared.queries + stage * QUERY_BYTES, gradients = shared.gradients + stage * QUERY_BYTES;
        const u32 slopes = shared.slopes + (2 * stage + span) * WEIGHT_BYTES;
        const bool edge = kChoice || (queryTile * ROWS + shift) / L < firstBlock + TILE_BLOCKS || (tile == 0 && shape.pad > 0)
            || document(documents, shape, batch, (queryTile * ROWS + ROWS - 1 + shift) / L) > firstBlock;
        float g[N / 2], dq[32], gates[2][NB];
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < D / 16; k++)                    // g = dO Vᵀ, while the scores are weighed
            wgmma<T, N>(g,
                matrix_at<128>(gradients + (k / 4) * ROWS * 128 + (k % 4) * 32),
                matrix_at<128>(values + (k / 4) * 128 * 128 + (k % 4) * 32), k > 0);
        wgmma_commit();
        if (edge) weigh<true>(s, gates, rows, block, span, choice, shape, shared);
        else weigh<false>(s, gates, rows, block, span, choice, shape, shared);
        store(weights, s);
        async_proxy_fence();
        named_sync(5 + span, 128);                         // all of the warpgroup's W is there
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < ROWS / 16; k++)                 // dV += Wᵀ dO, while dS is made
            wgmma<T, D, 1, 1>(dv,
                matrix_at<128>(weights + k * 2048, 8192, 1024), matrix_at<128>(gradients + k * 2048, ROWS * 128, 1024), true);
        wgmma_commit();
        wgmma_wait<1>();
        wgmma_keep(g);
        if (edge) differentiate<true>(g, s, gates, rows, block, span, shape, shared);
        else differentiate<false>(g, s, gates, rows, block, span, shape, shared);
        if (i >= STAGES) barrier_wait(shared.idle + 8 * (span * STAGES + stage), (i / STAGES - 1) & 1);
        store(slopes, g);
        async_proxy_fence();
        named_sync(5 + span, 128);                         // all of the warpgroup's dS is there
        if (threadIdx.x % 128 == 0) barrier_arrive(shared.ready + 8 * (span * STAGES + stage));
        // The other span's is needed for dQ. That of the tile before is there by now: so the spans need not go in step, and one's
        // products fill the time of the other's gates.
        // (In front of the first tile there are zeros, which are as quick as an exception.)
        if (CHUNKS == 2 || makes(i - 1)) begin_query_gradient(dq, i - 1);
        else wgmma_commit();
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < ROWS / 16; k++)                 // dK += dSᵀ Q
            wgmma<T, D, 1, 1>(dk,
                matrix_at<128>(slopes + k * 2048, 8192, 1024), matrix_at<128>(queries + k * 2048, ROWS * 128, 1024), true);
        wgmma_commit();
        begin(smaller(i + 1, count - 1));                  // after the last tile once more, so that none is an exception
        wgmma_wait<2>();
        wgmma_keep(dv);
        wgmma_keep(dq);
        if (i > 0) give_query_gradient(dq, i - 1);
        // Nothing is under way from one round to the next: the compiler does not see through that.
        wgmma_wait<0>();
        wgmma_keep(s);
        wgmma_keep(dk);
        warpgroup_arrive(shared.free + 8 * stage);
    }
    if (count > 0 && makes(count - 1)) {
        float dq[32];
        begin_query_gradient(dq, count - 1);
        wgmma_wait<0>();
        wgmma_keep(dq);
        give_query_gradient(dq, count - 1);
    }

#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int index = warp * 16 + lane_index() / 4 + 8 * r + (SPLIT ? 64 * span : 0);
        const int column = SPLIT ? index : index % C, position = (block + (SPLIT ? 0 : index / C)) * L + column - shape.pad;
        if ((!SPLIT && index >= N) || column >= L || position < 0 || position >= shape.keys) continue;
        const long long row = (long long)batchGroup * shape.keys + position;
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            const long long to = row * D + 8 * j + 2 * (lane_index() & 3);
            *(u32 *)(keyGradient + to) = pack<T>(dk[4 * j + 2 * r] * shape.scale, dk[4 * j + 2 * r + 1] * shape.scale);
            *(u32 *)(valueGradient + to) = pack<T>(dv[4 * j + 2 * r], dv[4 * j + 2 * r + 1]);
        }
    }
}

#include "backward_delta.cuh"
#include "backward_rows.cuh"

#endif
