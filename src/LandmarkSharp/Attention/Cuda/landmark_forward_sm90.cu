// Landmark attention, forward, for Hopper's tensor cores and copy engine.
//
// For query i in block B, over the regular tokens j of an earlier block b and over those of its own block up to itself
// (landmark-attention.md 1.3 and 1.6, the paper's equations 1 to 4):
//
//   past block   A_b[j] = e^{s_j} / l_b,   l_b = sum over b of e^{s_j},   gate logit  g_b = s of b's landmark
//   own block    gate logits are its scores themselves: together g_B = log l_B
//   out          = sum_b e^{g_b - G} sum_j A_b[j] v_j,   G = log sum_b e^{g_b}
//
// A thread block takes 128 queries of one head at a time, whichever nobody has begun: a warp loads, two warpgroups of 64 queries
// each multiply and gate by turns. A tile holds TILE_BLOCKS whole blocks of COLUMNS >= BLOCK columns each, so that a row's
// statistics of a block are in the registers of four neighbouring lanes when the gate needs them: one pass, no more products than
// dense attention. Blocks are right-aligned at their landmark: a short first block begins before the first key, where the copy
// engine fills in zeros. With PACKED documents a query sees the blocks of its own: documents has for each block the first block
// of its document, and then for each the first block after it.
//
// Compile-time: ELEMENT (bf16 or f16), HEAD_DIM, BLOCK, COLUMNS, TILE_BLOCKS, STAGES. With CHOICE, choices has for each row of the
// batch and each block whether the gate has it, and one more for a query's own block. With DROPOUT gates of earlier blocks are
// dropped at random after the softmax over them.
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 COLUMNS=64 TILE_BLOCKS=2 STAGES=2
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=200 COLUMNS=208 TILE_BLOCKS=1 STAGES=1
// check: ELEMENT=f16 HEAD_DIM=64 BLOCK=64 COLUMNS=64 TILE_BLOCKS=2 STAGES=2 PACKED=1 CHOICE=1 DROPOUT=1
#include "gates.cuh"
#include "shared.cuh"
#include "wgmma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

typedef ELEMENT T;

constexpr int D = HEAD_DIM, L = BLOCK, C = COLUMNS, NB = TILE_BLOCKS, N = NB * C;
constexpr int CHUNKS = (D + 63) / 64;                       // of 64 elements = 128 bytes, the swizzle's width
constexpr int ROWS = 128, QUERY_BYTES = CHUNKS * ROWS * 128, TILE_BYTES = CHUNKS * N * 128;
constexpr bool PADDED = C != L || NB == 1;                  // a copy for each block; else one for the tile

struct Shape {
    int heads, groups, queries, keys, pad, queryTiles, headsTogether, batchHeads;
    int blocks, documentRow;                                // of the sequence; numbers in a row of documents
    long long outBatch, outHead, outPosition;               // strides of the output, in elements
    float scale;                                            // of scores, times log2 e
    Dropout dropout;
};

// A row's statistics while its blocks go by, in units of log2: the greatest gate logit so far, and the sum of the gates.
struct Row {
    int start, own, column;                                 // its document's first block, its block, and its column in it
    float greatest, sum, rescale;
    u32 random;
};

// Scores of a tile become gated weights, relative to the greatest gate logit so far; s[4j + 2r + e] is row r, column 8j + 2t + e.
// Edge: the tile may hold a row's own block, blocks after it, blocks of an earlier document or in no
// gate, or columns before the first key.
template <bool Edge>
DEVICE void gate(float (&s)[N / 2], Row (&rows)[2], int firstBlock, const u8 *choice, const Shape &shape) {
    const float scale = shape.scale;
    const int t = lane_index() & 3;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float top[NB], logit[NB];
        bool own[NB];
        float greatest = rows[r].greatest;
#pragma unroll
        for (int b = 0; b < NB; b++) {
            constexpr int J = C / 8;
            const int block = firstBlock + b;
            own[b] = Edge && block == rows[r].own;
            const float landmark = shuffle(s[4 * (b * J + (L - 1) / 8) + 2 * r + (L - 1) % 2], (lane_index() & ~3) | ((L - 1) % 8 / 2));
            const int from = Edge && block == 0 ? shape.pad : 0;
            int to = !Edge ? L - 1 : own[b] ? smaller(rows[r].column + 1, L - 1) : block < rows[r].own && block >= rows[r].start ? L - 1 : 0;
            if (kChoice && !choice[own[b] ? shape.blocks : smaller(block, shape.blocks - 1)]) to = 0;
            float m = -infinity();
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[4 * (b * J + j) + 2 * r + e];
                    const int column = 8 * j + 2 * t + e;
                    if (Edge ? column < from || column >= to : 8 * j + 6 + e >= L - 1 && column >= L - 1) x = -infinity();
                    m = larger(m, x);
                }
            m = warp_max<4>(m);
            top[b] = m == -infinity() ? 0 : m * scale;
            // An empty block, and one that is to come, are in no gate.
            logit[b] = m == -infinity() ? -infinity() : own[b] ? top[b] : landmark * scale;
            greatest = larger(greatest, logit[b]);
        }
        const float base = greatest == -infinity() ? 0 : greatest;
        rows[r].rescale = power_of_2(rows[r].greatest - base);
        rows[r].greatest = greatest;
        rows[r].sum *= rows[r].rescale;
#pragma unroll
        for (int b = 0; b < NB; b++) {
            constexpr int J = C / 8;
            float l = 0;
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[4 * (b * J + j) + 2 * r + e];
                    x = power_of_2(multiply_add(x, scale, -top[b]));
                    l += x;
                }
            l = warp_sum<4>(l);
            const float p = power_of_2(logit[b] - base);
            float weight = Edge ? (own[b] ? p : l > 0 ? p / l : 0) : ratio(p, l);
            rows[r].sum += own[b] ? p * l : p;
            if (kDropout && !own[b]) weight *= keep(shape.dropout, rows[r].random, firstBlock + b);
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) s[4 * (b * J + j) + 2 * r + e] *= weight;
        }
    }
}

DEVICE void pack_pairs(u32 (&p)[N / 16][4], const float (&s)[N / 2]) {
#pragma unroll
    for (int i = 0; i < N / 4; i++) p[i / 4][i % 4] = pack<T>(s[2 * i], s[2 * i + 1]);
}

struct Shared {
    u32 query, keys, values;                           // shared addresses; stages of keys and values follow each other
    u32 queryFull, queryFree, keyFull, keyFree, valueFull, valueFree;
    u32 work;                                               // the index of the item whose queries lie there
};

// S = Q Kᵀ of a tile, [64, N]; both operands have the head dim innermost.
DEVICE void score(float (&s)[N / 2], u32 query, u32 key) {
#pragma unroll
    for (int k = 0; k < D / 16; k++)
        wgmma<T, N>(s,
            matrix_at<128>(query + (k / 4) * ROWS * 128 + (k % 4) * 32),
            matrix_at<128>(key + (k / 4) * N * 128 + (k % 4) * 32), k > 0);
}

// O += P V, [64, D]; the tile's rows are the sum's index, so V is read across its rows.
DEVICE void sum(float (&o)[D / 2], const u32 (&p)[N / 16][4], u32 value, bool accumulate) {
#pragma unroll
    for (int k = 0; k < N / 16; k++)
        wgmma<T, D, 1>(o, p[k], matrix_at<128>(value + k * 2048, N * 128, 1024), accumulate || k > 0);
}

DEVICE void load(
    u32 to, const TensorMap &map, u32 full, u32 free, int round, int tile, int head, int batch, int pad)
{
    if (round > 0) barrier_wait(free, (round - 1) & 1);
    barrier_arrive_expect(full, TILE_BYTES);
    for (int c = 0; c < CHUNKS; c++)
        for (int b = 0; b < (PADDED ? NB : 1); b++)
            load_box(to + (c * N + b * C) * 128, map, full, c * 64, (tile * NB + b) * L - pad, head, batch);
}

// Rows of one head that a thread block has in hand.
struct Item { int batchHead, batch, head, keyHead, first, lowest, tiles; };

// Long rows first, so that no long one is left for the end; heads in groups whose keys and values fit in the L2 together.
DEVICE Item item_at(int index, const int *documents, const Shape &shape) {
    const int perSet = shape.headsTogether * shape.queryTiles, set = index / perSet, at = index - set * perSet;
    const int together = smaller(shape.headsTogether, shape.batchHeads - set * shape.headsTogether);
    Item item;
    item.batchHead = set * shape.headsTogether + at % together;
    item.first = (shape.queryTiles - 1 - at / together) * ROWS;
    item.batch = item.batchHead / shape.heads;
    item.head = item.batchHead % shape.heads;
    item.keyHead = item.head / (shape.heads / shape.groups);
    const int shift = shape.keys - shape.queries + shape.pad;
    item.lowest = document(documents, shape, item.batch, (item.first + shift) / L) / NB;
    item.tiles = (smaller(item.first + ROWS, shape.queries) - 1 + shift) / L / NB + 1;
    return item;
}

extern "C" __global__ void __launch_bounds__(384, 1) landmark_forward_sm90(
    const __grid_constant__ TensorMap queryMap, const __grid_constant__ TensorMap keyMap, const __grid_constant__ TensorMap valueMap,
    T *__restrict__ out, float *__restrict__ logSum, const int *__restrict__ documents, const u8 *__restrict__ choices, u32 *tickets, const __grid_constant__ Shape shape)
{
    const u32 base = dynamic_shared();
    Shared shared;
    shared.query = base;
    shared.keys = base + QUERY_BYTES;
    shared.values = shared.keys + STAGES * TILE_BYTES;
    shared.queryFull = shared.values + STAGES * TILE_BYTES;
    shared.queryFree = shared.queryFull + 8;
    shared.keyFull = shared.queryFree + 8;
    shared.keyFree = shared.keyFull + 8 * STAGES;
    shared.valueFull = shared.keyFree + 8 * STAGES;
    shared.valueFree = shared.valueFull + 8 * STAGES;
    shared.work = shared.valueFree + 8 * STAGES;
    const int items = shape.batchHeads * shape.queryTiles;

    if (threadIdx.x == 0) {
        barrier_init(shared.queryFull, 1);
        barrier_init(shared.queryFree, 2);
        for (int i = 0; i < STAGES; i++) {
            barrier_init(shared.keyFull + 8 * i, 1);
            barrier_init(shared.valueFull + 8 * i, 1);
            barrier_init(shared.keyFree + 8 * i, 2);
            barrier_init(shared.valueFree + 8 * i, 2);
        }
        barrier_init_fence();
    }
    __syncthreads();

    // Tiles of keys and values are counted through all items: i is the current one, i % STAGES where it lies.
    int i = 0;
    if (threadIdx.x < 128) {
        registers_lower<24>();
        if (threadIdx.x == 0) {
            int round = 0;
            for (int index = blockIdx.x; index < items; round++) {
                const Item item = item_at(index, documents, shape);
                const int next = gridDim.x + atomic_add(tickets, 1);
                for (int tile = item.tiles - 1; tile >= item.lowest; i++, tile--) {
                    const int stage = i % STAGES;
                    load(shared.keys + stage * TILE_BYTES, keyMap, shared.keyFull + 8 * stage, shared.keyFree + 8 * stage, i / STAGES, tile, item.keyHead, item.batch, shape.pad);
                    if (tile == item.tiles - 1) {
                        if (round > 0) barrier_wait(shared.queryFree, (round - 1) & 1);
                        store_shared(shared.work, (u32)index);
                        barrier_arrive_expect(shared.queryFull, QUERY_BYTES);
                        for (int c = 0; c < CHUNKS; c++)
                            load_box(shared.query + c * ROWS * 128, queryMap, shared.queryFull, c * 64, item.first, item.head, item.batch);
                    }
                    load(shared.values + stage * TILE_BYTES, valueMap, shared.valueFull + 8 * stage, shared.valueFree + 8 * stage, i / STAGES, tile, item.keyHead, item.batch, shape.pad);
                }
                index = next;
            }
            barrier_wait(shared.queryFree, (round - 1) & 1);
            store_shared(shared.work, (u32)items);
            barrier_arrive(shared.queryFull);
            // Whoever is the last to find no more work leaves the counters as they were.
            if (atomic_add(tickets + 1, 1) == gridDim.x - 1) tickets[0] = tickets[1] = 0;
        }
        return;
    }
    registers_raise<240>();
    const int group = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 % 4;
    const u32 query = shared.query + group * 64 * 128;
    const int shift = shape.keys - shape.queries + shape.pad;    // positions are counted from the beginning of a whole first block
    // The warpgroups take turns at the tensor cores: while one multiplies, the other gates.
    const int turn = 1 + group, others = 2 - group;
    if (group == 1) named_arrive(others, 256);

    for (int round = 0; ; round++) {
        barrier_wait(shared.queryFull, round & 1);
        const int index = shuffle(load_shared(shared.work), 0);
        if (index >= items) return;
        const Item item = item_at(index, documents, shape);
        const int mine = item.first + group * 64 + warp * 16 + lane_index() / 4;
        Row rows[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int position = mine + 8 * r + shift;
            rows[r] = { document(documents, shape, item.batch, position / L), position / L, position % L, -infinity(), 0, 1,
                random_of_row(shape.dropout, (long long)item.batchHead * shape.queries + mine + 8 * r) };
        }
        // Tiles from the last down to the one, and from the other down, are edges: see gate.
        const int firstOwn = (item.first + group * 64 + shift) / L / NB;
        const int newest = document(documents, shape, item.batch, (item.first + group * 64 + 63 + shift) / L);
        const int lastEdge = kChoice ? item.tiles : newest > 0 ? (newest - 1) / NB : shape.pad > 0 ? 0 : -1;
        const u8 *choice = choices + item.batch * (shape.blocks + 1);

        float o[D / 2], s[N / 2];
        u32 p[N / 16][4];
        barrier_wait(shared.keyFull + 8 * (i % STAGES), i / STAGES & 1);
        named_sync(turn, 256);
        wgmma_fence();
        score(s, query, shared.keys + i % STAGES * TILE_BYTES);
        wgmma_commit();
        named_arrive(others, 256);
        wgmma_wait<0>();
        wgmma_keep(s);
        warpgroup_arrive(shared.keyFree + 8 * (i % STAGES));
        if (item.tiles - 1 == item.lowest) warpgroup_arrive(shared.queryFree);
        gate<true>(s, rows, (item.tiles - 1) * NB, choice, shape);
        pack_pairs(p, s);

        int tile = item.tiles - 2;
        bool begun = false;
        // The scores of a tile are multiplied while the sum of the tile before is.
        auto step = [&](auto edge) {
            const int before = i % STAGES, stage = (i + 1) % STAGES;
            barrier_wait(shared.keyFull + 8 * stage, (i + 1) / STAGES & 1);
            named_sync(turn, 256);
            wgmma_fence();
            score(s, query, shared.keys + stage * TILE_BYTES);
            wgmma_commit();
            barrier_wait(shared.valueFull + 8 * before, i / STAGES & 1);
            wgmma_fence();
            sum(o, p, shared.values + before * TILE_BYTES, begun);
            wgmma_commit();
            named_arrive(others, 256);
            wgmma_wait<1>();
            wgmma_keep(s);
            warpgroup_arrive(shared.keyFree + 8 * stage);
            if (tile == item.lowest) warpgroup_arrive(shared.queryFree);
            gate<decltype(edge)::value>(s, rows, tile * NB, choice, shape);
            wgmma_wait<0>();
            wgmma_keep(o);
            wgmma_keep(p);
            warpgroup_arrive(shared.valueFree + 8 * before);
            if (any_lane(rows[0].rescale != 1 || rows[1].rescale != 1))
#pragma unroll
                for (int j = 0; j < D / 2; j++) o[j] *= rows[j / 2 % 2].rescale;
            pack_pairs(p, s);
            begun = true;
            i++, tile--;
        };
        while (tile >= firstOwn && tile >= item.lowest) step(Yes());
        while (tile > lastEdge && tile >= item.lowest) step(No());
        while (tile >= item.lowest) step(Yes());

        barrier_wait(shared.valueFull + 8 * (i % STAGES), i / STAGES & 1);
        wgmma_fence();
        sum(o, p, shared.values + i % STAGES * TILE_BYTES, begun);
        wgmma_commit();
        wgmma_wait<0>();
        wgmma_keep(o);
        warpgroup_arrive(shared.valueFree + 8 * (i % STAGES));
        i++;

#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int at = mine + 8 * r;
            if (at >= shape.queries) continue;
            const long long row = (long long)item.batchHead * shape.queries + at;
            T *to = out + item.batch * shape.outBatch + item.head * shape.outHead + at * shape.outPosition;
            const float scaled = rows[r].sum > 0 ? 1 / rows[r].sum : 0;
#pragma unroll
            for (int j = 0; j < D / 8; j++)
                *(u32 *)(to + 8 * j + 2 * (lane_index() & 3)) = pack<T>(o[4 * j + 2 * r] * scaled, o[4 * j + 2 * r + 1] * scaled);
            // Nothing seen: a weight of zero whatever the score.
            if ((lane_index() & 3) == 0) logSum[row] = rows[r].sum > 0 ? rows[r].greatest + log_2(rows[r].sum) : infinity();
        }
    }
}

#endif
