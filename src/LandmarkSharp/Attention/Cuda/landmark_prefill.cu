// Prefill with retrieval, second half: the queries of a text read blocks before their windows, and their windows. Each window of
// W blocks has the text before it as its memory of m blocks; of these a query reads k = min(topK, m) (landmark-attention.md 3.1).
//
//   block b read by a query   A_b = softmax of form(slot) . keys of b,  o_b = A_b V_b,  g_b = form(slot) . landmark key of b   (1.3)
//     slot of the r-th of c chosen: r, or r + 1 + k - c if it is of the last k;  form(slot) = R(place + (k + 1 - slot) L) q (3.2)
//     block j of the window:   form = R(place - j L) q, as slot k + 1 + j
//   own block B               the same over tokens up to itself;  g_B = log sum e^{form . keys}
//   out                       sum_b e^{g_b - G} o_b,   G = log sum_b e^{g_b}, over chosen, window's and own block          (1.6)
//   with a context-miss token the chosen share its mass: as if their g_b were raised until they add up to its score        (1.7)
//
// What a block gives a query, (o_b, g_b), depends on nothing else. So it is computed block by block, not query by query: each
// block gathers the queries that chose it (landmark_prefill_lists.cu), 64 at a time, turned on the way to its own slot for each.
// Every product is of 64 rows that all count, however little neighbouring queries agree, a block's keys and values are read where
// they lie, once for a few such, and what is kept between the kernels is a row of D elements for each query and chosen block.
//
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=256
#include "prefill.cuh"

// ---- Chosen blocks: grid (at least the tiles), 64 pairs of a tile at a time ----------------------------------------------------------------------------

// parts [pairs, D] and logits [pairs]: o_b and g_b, times log2 e.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_read(
    const ListTile* tiles, const u32* tileStarts, const int* entries, const int* reads, const T* queries, const T* blocks,
    const T* landmarks, const float* angles, T* parts, float* logits, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    __shared__ Rows rows;
    __shared__ int pairs[kRows];
    if (blockIdx.x >= tileStarts[p.lists]) return;
    const ListTile tile = tiles[blockIdx.x];
    const int block = tile.list % p.mostBlocks, group = p.firstHead / (z.heads / z.groups) + tile.list / p.mostBlocks;
    const u32 query = dynamic_shared(), keys = query + kTileBytes, values = keys + kBlockBytes;
    const T* from = block_at(blocks, block, group, z);
    load_block(keys, from, kTokens, landmarks + group * z.landmarkGroup + (long long)block * D);
    copy_commit();
    load_block(values, from + (long long)kTokens * D, kTokens, nullptr);
    copy_commit();

    for (int done = 0; done < tile.count; done += kRows) {
        __syncthreads();
        if (threadIdx.x < kRows) {
            const bool there = done + (int)threadIdx.x < tile.count;
            const int pair = there ? entries[tile.first + done + threadIdx.x] : 0;
            const int rank = pair % z.topK, at = pair / z.topK % z.queries, head = p.firstHead + pair / z.topK / z.queries;
            const Window window(window_of(at, z), z);
            const int empty = block >= window.old ? 1 + window.taken - reads_of(reads, head, at, window, z) : 0;    // slots before it
            pairs[threadIdx.x] = there ? pair : -1;
            rows.from[threadIdx.x] = there ? queries + head * z.queryHead + at * z.queryPosition : nullptr;
            rows.distance[threadIdx.x] = place_of(at, z) + (window.taken + 1 - rank - empty) * L;
        }
        __syncthreads();
        turn_rows<false>(query, 0, rows, 0, angles);
        copy_wait<1>();
        __syncthreads();

        float s[kColumns / 8][4], o[D / 8][4] = {}, weight[2];
        score<kColumns>(s, rows_at(query), keys);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const Inside a = inside(s, r, kTokens, z.scale);
            weight[r] = 1 / a.sum;
            const int pair = pairs[row_of(r)];
            if (lane_index() % 4 == 0 && pair >= 0) logits[pair] = a.landmark;
        }
        if (done == 0) {
            copy_wait<0>();
            __syncthreads();
        }
        add_rows<kColumns>(o, values, s);
        write_rows(o, weight, query, [&](int row) { return pairs[row] < 0 ? nullptr : parts + (long long)pairs[row] * D; });
    }
}

// ---- The window, and all together: grid (tiles of queries, heads at hand) ------------------------------------------------

// missed [H, T]: a context-miss token's scores, or null. out [T, H, D]; gates [H, T, topK], or null: P of the chosen, 0 where fewer
// are read.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_window(
    const T* queries, const T* blocks, const T* landmarks, const float* angles, const int* reads, const float* missed, const T* parts,
    const float* logits, T* out, float* gates, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    __shared__ Rows rows;
    const int head = p.firstHead + blockIdx.y, group = head / (z.heads / z.groups);
    const Tile tile = tile_at(blockIdx.x, 0, z.queries, z);
    if (tile.begin >= tile.end) return;
    const Window window(tile.window, z);
    const u32 query = dynamic_shared(), keys = query + kTileBytes, values = keys + kBlockBytes;
    const int positions = tile.place + tile.end;            // of the window, to the last of the tile's queries

    fill_rows(rows, tile, tile.place, [&](int row) { return queries + head * z.queryHead + (tile.query + row) * z.queryPosition; });

    // Chosen blocks.
    float o[D / 8][4] = {}, raised[2] = {};
    Gate gate[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (!tile.has(row_of(r))) continue;
        const int at = tile.query + row_of(r), count = reads_of(reads, head, at, window, z);
        const long long first = ((long long)blockIdx.y * z.queries + at) * z.topK;
        for (int i = 0; i < count; i++) gate[r].greatest = larger(gate[r].greatest, logits[first + i]);
        for (int i = 0; i < count; i++) {
            const float weight = gate[r].share(logits[first + i]);
            gate[r].sum += weight;
            const u32* part = (const u32*)(parts + (first + i) * D) + lane_index() % 4;
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                const u32 x = part[4 * n];
                o[n][2 * r] += weight * to_float(T { (u16)x });
                o[n][2 * r + 1] += weight * to_float(T { (u16)(x >> 16) });
            }
        }
        if (!missed) continue;
        const float token = missed[(long long)head * z.queries + at], share = gate[r].sum > 0 ? 1 / gate[r].sum : 0;
#pragma unroll
        for (int n = 0; n < D / 8; n++) o[n][2 * r] *= share, o[n][2 * r + 1] *= share;
        raised[r] = token - gate[r].greatest + log_2(share);
        gate[r].greatest = token, gate[r].sum = 1;                      // and where nothing is read, its mass is nobody's
    }

    // The window's blocks up to the last row's own; a row that stands in an earlier one sees nothing of those after.
    for (int block = 0; block * L < positions; block++) {
        const T* from = block_at(blocks, window.inMemory + block, group, z);
        __syncthreads();
        load_block(keys, from, kTokens, landmarks + group * z.landmarkGroup + (long long)(window.inMemory + block) * D);
        copy_commit();
        // What is not written yet may be anything: no weight of 0 would make it 0.
        load_block(values, from + (long long)kTokens * D, smaller(kTokens, positions - block * L), nullptr);
        copy_commit();
        turn_rows<false>(query, 0, rows, block * L, angles);
        copy_wait<1>();
        __syncthreads();

        float s[kColumns / 8][4];
        score<kColumns>(s, rows_at(query), keys);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int place = tile.place + row_of(r) - block * L;      // in this block
            const Inside a = inside(s, r, seen(place), z.scale);
            const float logit = gate_logit(a, place);
            const float keep = gate[r].raise(logit), share = gate[r].share(logit), weight = a.sum == 0 ? 0 : share / a.sum;
            gate[r].sum += share;
#pragma unroll
            for (int n = 0; n < kColumns / 8; n++) s[n][2 * r] *= weight, s[n][2 * r + 1] *= weight;
#pragma unroll
            for (int n = 0; n < D / 8; n++) o[n][2 * r] *= keep, o[n][2 * r + 1] *= keep;
        }
        copy_wait<0>();
        __syncthreads();
        add_rows<kColumns>(o, values, s);
    }

    const float weight[2] = { gate[0].sum > 0 ? 1 / gate[0].sum : 0, gate[1].sum > 0 ? 1 / gate[1].sum : 0 };
    write_rows(o, weight, query, [&](int row) {
        return tile.has(row) ? out + ((long long)(tile.query + row) * z.heads + head) * D : nullptr;
    });
    if (!gates) return;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (!tile.has(row_of(r))) continue;
        const int at = tile.query + row_of(r), count = reads_of(reads, head, at, window, z);
        const float* from = logits + ((long long)blockIdx.y * z.queries + at) * z.topK;
        float* to = gates + ((long long)head * z.queries + at) * z.topK;
        for (int i = lane_index() % 4; i < z.topK; i += 4) to[i] = i < count ? gate[r].share(from[i] + raised[r]) * weight[r] : 0;
    }
}
