// A part of landmark_backward_mma.cu, which has the formulas: dQ, and what dK and dV need of each row of queries and each block.
#ifndef LANDMARK_MMA_BACKWARD_QUERIES
#define LANDMARK_MMA_BACKWARD_QUERIES

// The softmax of a row over a block, and its mean of dO . v_j while it is summed.
struct Mean {
    Inside inside;
    float product;
    DEVICE void add(const Mean& x) {
        const Inside both { larger(inside.top, x.inside.top), 0 };
        const float mine = power_of_2(inside.top - both.base()), other = power_of_2(x.inside.top - both.base());
        product = product * mine + x.product * other;
        inside = { both.top, inside.sum * mine + x.inside.sum * other };
    }
};

// A row's softmax over a block, closed: what its tokens' and its landmark's slopes follow from.
struct Closed {
    Slope token, landmark;
    float slope;                                            // dS of the landmark
};
DEVICE Closed close_block(const Mean& m, float landmark, float logSum, float delta, int block, const Row& row, const Shape& shape) {
    const Slope none { infinity(), 0 };
    if (m.inside.empty()) return { none, none, 0 };
    if (block == row.own) return { { logSum, delta }, none, 0 };
    const float gate = landmark - logSum, mean = m.product / m.inside.sum, kept = kDropout ? keep(shape.dropout, row.random, block) : 1;
    const float level = m.inside.top + log_2(m.inside.sum) - gate;
    const float less = delta - kept * mean;
    return { { kept == 0 ? infinity() : kDropout ? level - log_2(kept) : level, mean }, { logSum, less }, -power_of_2(gate) * less };
}

extern "C" __global__ void __launch_bounds__(kThreads) landmark_backward_queries(
    const T* __restrict__ queries, const T* __restrict__ keys, const T* __restrict__ values, const T* __restrict__ gradients,
    const float* __restrict__ logSum, const float* __restrict__ delta, const int* __restrict__ documents, const u8* __restrict__ choices,
    T* __restrict__ queryGradient, Slope* __restrict__ slopes, const __grid_constant__ Shape shape)
{
    const int batchHead = blockIdx.x / shape.tiles, first = shape.first + (shape.tiles - 1 - (int)blockIdx.x % shape.tiles) * kRows;
    const int batch = batchHead / shape.heads, head = batchHead % shape.heads, group = head / (shape.heads / shape.groups);
    const int shift = shape.keys - shape.queries + shape.pad, t = lane_index() % 4;
    const int lastTile = (smaller(first + kRows, shape.queries) - 1 + shift) / L / NB;
    const int lowest = document(documents, shape, batch, (first + shift) / L) / NB;
    const u32 query = shared_address(shared_room()), gradient = query + kQueryBytes, tiles = gradient + kQueryBytes;
    const u8* choice = choices + batch * (shape.blocks + 1);
    keys += place(shape.key, batch, group);
    values += place(shape.value, batch, group);

    // A tile of chunks comes twice: for its means, and for the gradient. Keys stay for both products, so that the next keys come where
    // the last values were, and the next values where the last keys were.
    constexpr int kRounds = kWhole ? 1 : 2 * CHUNKS;
    const int rounds = (lastTile - lowest + 1) * kRounds;
    auto load = [&](int i, bool ofValues) {
        const int tile = lastTile - i / kRounds, chunk = i % kRounds % CHUNKS;
        const u32 to = tiles + (i + ofValues) % 2 * kTileBytes;
        if (ofValues) copy_rows<N, kThreads>(to, values, keys_of(tile, chunk, shape.value.position, shape));
        else copy_rows<N, kThreads>(to, keys, keys_of(tile, chunk, shape.key.position, shape));
        copy_commit();
    };
    copy_rows<kRows, kThreads>(query, queries + place(shape.query, batch, head), rows_of(first, shape.queries, shape.query.position));
    copy_rows<kRows, kThreads>(gradient, gradients + place(shape.out, batch, head), rows_of(first, shape.queries, shape.out.position));
    load(0, false);

    const int mine = warp_index() * 16 * kRowBytes, ours = first + warp_index() * 16;
    Row rows[2];
    float sums[2], deltas[2], dq[D / 8][4] = {}, s[N / 8][4], g[N / 8][4];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int at = ours + lane_index() / 4 + 8 * r;
        const long long row = (long long)batchHead * shape.queries + at;
        rows[r] = row_at(at, row, documents, batch, shape);
        sums[r] = at < shape.queries ? logSum[row] : infinity();
        deltas[r] = at < shape.queries ? delta[row] : 0;
    }
    // For the keys' kernel: [heads of the batch, blocks, token or landmark, rows].
    auto tell = [&](int r, int block, const Closed& x) {
        const int at = ours + lane_index() / 4 + 8 * r;
        if (t > 0 || at >= shape.queries || block > rows[r].own) return;
        Slope* to = slopes + ((long long)batchHead * shape.blocks + block) * 2 * shape.rows + at - shape.first;
        to[0] = x.token;
        to[shape.rows] = x.landmark;
    };

    // One round: exponentials of a chunk's scores in s, g = dO Vᵀ, and what they make of its blocks; gives where the keys stay.
    int round = 0;
    auto multiply = [&](int tile, int chunk, Mean (&part)[2][NB], float (&landmark)[2][NB], auto edge) {
        const u32 keysAt = tiles + round % 2 * kTileBytes, valuesAt = tiles + (round + 1) % 2 * kTileBytes;
        copy_wait<0>();
        __syncthreads();
        load(round, true);
        score<N>(s, query + mine, keysAt);
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int b = 0; b < NB; b++) {
                landmark[r][b] = landmark_score(s, r, b) * shape.scaleLog2;
                part[r][b].inside = inside<decltype(edge)::value>(s, r, b, chunk, tile * NB + b, rows[r], choice, shape);
            }
        copy_wait<0>();
        __syncthreads();
        score<N>(g, gradient + mine, valuesAt);
        __syncthreads();
        if (++round < rounds) load(round, false);
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int b = 0; b < NB; b++) {
                float product = 0;
#pragma unroll
                for (int j = b * C / 8; j < (b + 1) * C / 8; j++)
                    product = multiply_add(s[j][2 * r], g[j][2 * r], multiply_add(s[j][2 * r + 1], g[j][2 * r + 1], product));
                part[r][b].product = warp_sum<4>(product);
            }
        return keysAt;
    };
    auto step = [&](int tile, auto edge) {
        Mean part[2][NB];
        Closed closed[2][NB];
        float landmark[2][NB];
        auto finish = [&](int r, int b, const Mean& mean) {
            closed[r][b] = close_block(mean, landmark[r][b], sums[r], deltas[r], tile * NB + b, rows[r], shape);
            tell(r, tile * NB + b, closed[r][b]);
        };
        if (!kWhole) {
            Mean mean[2] = { { { -infinity(), 0 }, 0 }, { { -infinity(), 0 }, 0 } };
            for (int chunk = 0; chunk < CHUNKS; chunk++) {
                multiply(tile, chunk, part, landmark, edge);
                mean[0].add(part[0][0]), mean[1].add(part[1][0]);
            }
            finish(0, 0, mean[0]), finish(1, 0, mean[1]);
        }
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            const u32 keysAt = multiply(tile, chunk, part, landmark, edge);
#pragma unroll
            for (int r = 0; r < 2; r++)
#pragma unroll
                for (int b = 0; b < NB; b++) {
                    if (kWhole) finish(r, b, part[r][b]);
                    const Closed& x = closed[r][b];
                    const float weight = power_of_2(part[r][b].inside.top - x.token.level);
#pragma unroll
                    for (int j = 0; j < C / 8; j++)
#pragma unroll
                        for (int e = 0; e < 2; e++) {
                            const int n = b * (C / 8) + j, i = 2 * r + e;
                            g[n][i] = s[n][i] * weight * (g[n][i] - x.token.less);
                            if (j == kLandmark / 8 && e == kLandmark % 2 && t == kLandmark % 8 / 2 && chunk == CHUNKS - 1) g[n][i] = x.slope;
                        }
                }
            add_rows<N>(dq, keysAt, g);
        }
    };
    for (int tile = lastTile; tile >= lowest; tile--)
        if (is_edge(tile, ours, documents, batch, shape)) step(tile, Yes());
        else step(tile, No());

#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int at = ours + lane_index() / 4 + 8 * r;
        if (at >= shape.queries) continue;
        T* to = queryGradient + ((long long)batchHead * shape.queries + at) * D + 2 * t;
#pragma unroll
        for (int n = 0; n < D / 8; n++) *(u32*)(to + 8 * n) = pack<T>(dq[n][2 * r] * shape.scale, dq[n][2 * r + 1] * shape.scale);
    }
}

#endif
