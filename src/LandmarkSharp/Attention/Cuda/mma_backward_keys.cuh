// A part of landmark_backward_mma.cu, which has the formulas: dK and dV.
#ifndef LANDMARK_MMA_BACKWARD_KEYS
#define LANDMARK_MMA_BACKWARD_KEYS

// A warp has 16 keys; where heads are wide, SPLIT = 2 warps have the same ones: each makes W and dS for one half of the queries, and
// dK and dV in one half of the columns.
constexpr int kKeys = 16 * KEY_WARPS, kKeyThreads = KEY_WARPS * SPLIT * kWarp;
constexpr int kPart = QUERY_ROWS / SPLIT;                   // queries of a warp
constexpr int kWidth = SPLIT == 1 ? D : (D / 2 + 15) / 16 * 16;                 // columns of a warp's gradients, the first one's
constexpr int kSeen = (kKeys + L - 2) / L + 1;              // blocks that some keys in a row can lie in
constexpr int kKeyBytes = kKeys * kRowBytes, kPartBytes = QUERY_ROWS * kRowBytes, kSlopeBytes = kSeen * 2 * QUERY_ROWS * 8;
constexpr int kStageBytes = 2 * kPartBytes + kSlopeBytes;
constexpr int kExchangeRow = 2 * QUERY_ROWS + 16;           // bytes, of a key's W or dS

// sums: dK and dV [2, batch, groups, keys, D] of the queries of earlier launches, where there is more than one; earlier and later
// say whether there are such.
extern "C" __global__ void __launch_bounds__(kKeyThreads) landmark_backward_keys(
    const T* __restrict__ queries, const T* __restrict__ keys, const T* __restrict__ values, const T* __restrict__ gradients,
    const Slope* __restrict__ slopes, const int* __restrict__ documents,
    T* __restrict__ keyGradient, T* __restrict__ valueGradient, float* __restrict__ sums, int earlier, int later,
    const __grid_constant__ Shape shape)
{
    // A head's first keys first: more queries see them.
    const int batchGroups = gridDim.x / shape.tiles, batchGroup = blockIdx.x / shape.tiles, begin = blockIdx.x % shape.tiles * kKeys;
    const int batch = batchGroup / shape.groups, group = batchGroup % shape.groups, perGroup = shape.heads / shape.groups;
    const int shift = shape.keys - shape.queries + shape.pad, column = lane_index() % 4 * 2;
    const int keyWarp = warp_index() / SPLIT, half = warp_index() % SPLIT;

    // Positions counted from a whole first block's: those of the tile, and the queries, of those at hand, that see any of it.
    const int firstBlock = begin / L, lastBlock = smaller((begin + kKeys - 1) / L, shape.blocks - 1);
    const int end = smaller(shape.first + shape.rows, smaller(document_end(documents, shape, batch, lastBlock) * L - shift, shape.queries));
    const int earliest = begin - shift > shape.first ? (begin - shift - shape.first) / QUERY_ROWS : 0;
    const int perHead = end <= shape.first ? 0 : (end - shape.first + QUERY_ROWS - 1) / QUERY_ROWS - earliest;
    const int count = perHead > 0 ? perHead * perGroup : 0;
    // All of these queries see all of the tile's keys.
    const int allFrom = begin + kKeys - 1 - shift, allTo = smaller(document_end(documents, shape, batch, firstBlock) * L - shift, shape.queries);

    const u32 keyTile = shared_address(shared_room()), valueTile = keyTile + kKeyBytes, stages = valueTile + kKeyBytes;
    const u32 exchange = stages + STAGES * kStageBytes;
    auto query_of = [&](int i) { return shape.first + (earliest + i % perHead) * QUERY_ROWS; };
    auto load = [&](int i) {
        const int head = group * perGroup + i / perHead, first = query_of(i);
        const u32 to = stages + i % STAGES * kStageBytes;
        copy_rows<QUERY_ROWS, kKeyThreads>(to, queries + place(shape.query, batch, head), rows_of(first, shape.queries, shape.query.position));
        copy_rows<QUERY_ROWS, kKeyThreads>(to + kPartBytes, gradients + place(shape.out, batch, head), rows_of(first, shape.queries, shape.out.position));
        // Two rows' at once.
        const Slope* from = slopes + ((long long)(batch * shape.heads + head) * shape.blocks + firstBlock) * 2 * shape.rows + first - shape.first;
        const int entries = (lastBlock - firstBlock + 1) * QUERY_ROWS;
        for (int j = threadIdx.x; j < entries; j += kKeyThreads)
            copy_async(to + 2 * kPartBytes + j * 16, from + (long long)(j / (QUERY_ROWS / 2)) * shape.rows + j % (QUERY_ROWS / 2) * 2);
        copy_commit();
    };

    if (count > 0) {
        copy_rows<kKeys, kKeyThreads>(keyTile, keys + place(shape.key, batch, group), rows_of(begin - shape.pad, shape.keys, shape.key.position));
        copy_rows<kKeys, kKeyThreads>(valueTile, values + place(shape.value, batch, group), rows_of(begin - shape.pad, shape.keys, shape.value.position));
        load(0);
    }

    // The lane's two keys: where their slopes lie in a stage, from and up to which query they are seen, whether they have values.
    int slopesAt[2], from[2], to[2];
    float regular[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int at = begin + keyWarp * 16 + lane_index() / 4 + 8 * r, block = smaller(at / L, lastBlock);
        const bool landmark = at % L == L - 1;
        slopesAt[r] = 2 * kPartBytes + ((block - firstBlock) * 2 + landmark) * QUERY_ROWS * 8;
        from[r] = at - shift;
        to[r] = smaller(document_end(documents, shape, batch, block) * L - shift, shape.queries);
        regular[r] = landmark ? 0 : 1;
    }
    const u32 mine = keyWarp * 16 * kRowBytes;
    float dk[kWidth / 8][4] = {}, dv[kWidth / 8][4] = {};
    for (int i = 0; i < count; i++) {
        if (STAGES == 1 && i > 0) {
            __syncthreads();
            load(i);
        }
        copy_wait<0>();
        __syncthreads();
        if (STAGES > 1 && i + 1 < count) load(i + 1);
        const u32 stage = stages + i % STAGES * kStageBytes, part = half * kPart;
        const int first = query_of(i);

        float w[kPart / 8][4], g[kPart / 8][4];             // by keys and queries: scores, W; dO . v_j, dS
        score<kPart>(w, keyTile + mine, stage + part * kRowBytes);
        score<kPart>(g, valueTile + mine, stage + kPartBytes + part * kRowBytes);
        auto differentiate = [&](auto edge) {
#pragma unroll
            for (int n = 0; n < kPart / 8; n++)
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const Quad both = load_shared_quad(stage + slopesAt[r] + (part + 8 * n + column) * 8);
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        float level = as_float(both.x[2 * e]), less = as_float(both.x[2 * e + 1]);
                        const int query = first + part + 8 * n + column + e;
                        // What does not see the key has told nothing of it.
                        if (decltype(edge)::value && (query < from[r] || query >= to[r])) level = infinity(), less = 0;
                        const int j = 2 * r + e;
                        const float weight = power_of_2(multiply_add(w[n][j], shape.scaleLog2, -level));
                        g[n][j] = weight * multiply_add(g[n][j], regular[r], -less);
                        w[n][j] = weight * regular[r];
                    }
                }
        };
        if (first < allFrom || first + QUERY_ROWS > allTo) differentiate(Yes());
        else differentiate(No());

        const u32 query = stage + half * kWidth * 2, gradient = query + kPartBytes;
        if (SPLIT == 1) {
            add_rows<QUERY_ROWS, kWidth>(dv, gradient, [&](u32 (&a)[4], int k) { left_of(a, w, k); });
            add_rows<QUERY_ROWS, kWidth>(dk, query, [&](u32 (&a)[4], int k) { left_of(a, g, k); });
        } else {
            const u32 weights = exchange + keyWarp * 2 * 16 * kExchangeRow, changes = weights + 16 * kExchangeRow;
#pragma unroll
            for (int n = 0; n < kPart / 8; n++)
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const u32 at = (lane_index() / 4 + 8 * r) * kExchangeRow + (part + 8 * n + column) * 2;
                    store_shared(weights + at, pack<T>(w[n][2 * r], w[n][2 * r + 1]));
                    store_shared(changes + at, pack<T>(g[n][2 * r], g[n][2 * r + 1]));
                }
            named_sync(1 + keyWarp, SPLIT * kWarp);
            const u32 row = lane_index() % 16 * kExchangeRow + lane_index() / 16 * 16;
            const int width = half == 0 ? kWidth : D - kWidth;
            add_rows<QUERY_ROWS, kWidth>(dv, gradient, [&](u32 (&a)[4], int k) { load_matrices(a, weights + row + k * 32); }, width);
            add_rows<QUERY_ROWS, kWidth>(dk, query, [&](u32 (&a)[4], int k) { load_matrices(a, changes + row + k * 32); }, width);
        }
    }

    const long long apart = (long long)batchGroups * shape.keys * D;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int position = begin + keyWarp * 16 + lane_index() / 4 + 8 * r - shape.pad;
        if (position < 0 || position >= shape.keys) continue;
        auto give = [&](float x, float y, T* result, float* sum, long long at) {
            if (earlier) x += sum[at], y += sum[at + 1];
            if (later) sum[at] = x, sum[at + 1] = y;
            else *(u32*)(result + at) = pack<T>(x, y);
        };
#pragma unroll
        for (int n = 0; n < kWidth / 8; n++) {
            const int element = half * kWidth + 8 * n + column;
            if (element >= D) continue;
            const long long at = ((long long)batchGroup * shape.keys + position) * D + element;
            give(dk[n][2 * r] * shape.scale, dk[n][2 * r + 1] * shape.scale, keyGradient, sums, at);
            give(dv[n][2 * r], dv[n][2 * r + 1], valueGradient, sums + apart, at);
        }
    }
}

#endif
