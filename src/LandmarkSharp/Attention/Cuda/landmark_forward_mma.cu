// Landmark attention, forward, for the tensor cores of any card from sm_80 on.
//
// For query i in block B, over the regular tokens j of an earlier block b and over those of its own block up to itself
// (landmark-attention.md 1.3 and 1.6, the paper's equations 1 to 4):
//
//   past block   A_b[j] = e^{s_j} / l_b,   l_b = sum over b of e^{s_j},   gate logit  g_b = s of b's landmark
//   own block    gate logits are its scores themselves: together g_B = log l_B
//   out          = sum_b e^{g_b - G} sum_j A_b[j] v_j,   G = log sum_b e^{g_b}
//
// A thread block has 16 queries a warp of one head, and goes through the keys that they see from the last to the first, in tiles of
// whole blocks: what a row must know of a block before its values count, l_b and g_b, is in registers then. A block too long for that
// comes in chunks, and twice: its statistics are taken first, and its scores are multiplied again. Keys and values come through two
// buffers by turns, the next one while the last is multiplied. Nothing is read of blocks that no row sees.
//
// Compile-time: ELEMENT (bf16 or f16), HEAD_DIM, BLOCK = L, WARPS, COLUMNS of a block or its chunk (a multiple of 8), CHUNKS of a
// block, TILE_BLOCKS of a tile (1 if there are chunks; together a multiple of 16 columns). PACKED, CHOICE, DROPOUT: see gates.cuh.
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 WARPS=4 COLUMNS=64 CHUNKS=1 TILE_BLOCKS=1
// check: ELEMENT=f16 HEAD_DIM=256 BLOCK=200 WARPS=4 COLUMNS=112 CHUNKS=2 TILE_BLOCKS=1
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51 WARPS=8 COLUMNS=56 CHUNKS=1 TILE_BLOCKS=2 PACKED=1 CHOICE=1 DROPOUT=1
#include "mma_gates.cuh"

// A row's gate while its blocks go by, in units of log2: the greatest logit so far, and the sum relative to it.
struct Gate { float greatest, sum; };

// Loads of a tile: keys, values; where blocks come in chunks, the keys of all of them and then each one's keys and values.
constexpr int kSteps = kWhole ? 2 : 3 * CHUNKS;

extern "C" __global__ void __launch_bounds__(kThreads) landmark_forward_mma(
    const T* __restrict__ queries, const T* __restrict__ keys, const T* __restrict__ values, T* __restrict__ out, float* __restrict__ logSum,
    const int* __restrict__ documents, const u8* __restrict__ choices, const __grid_constant__ Shape shape)
{
    // Long rows first, so that no long one is left for the end.
    const int batchHead = blockIdx.x / shape.tiles, first = (shape.tiles - 1 - (int)blockIdx.x % shape.tiles) * kRows;
    const int batch = batchHead / shape.heads, head = batchHead % shape.heads, group = head / (shape.heads / shape.groups);
    const int shift = shape.keys - shape.queries + shape.pad, t = lane_index() % 4;
    const int lastTile = (smaller(first + kRows, shape.queries) - 1 + shift) / L / NB;
    const int lowest = document(documents, shape, batch, (first + shift) / L) / NB, loads = (lastTile - lowest + 1) * kSteps;
    const u32 query = shared_address(shared_room()), tiles = query + kQueryBytes;
    const u8* choice = choices + batch * (shape.blocks + 1);
    keys += place(shape.key, batch, group);
    values += place(shape.value, batch, group);

    auto load = [&](int i) {
        const int tile = lastTile - i / kSteps, step = i % kSteps, second = step - CHUNKS;
        const bool ofValues = kWhole ? step == 1 : second >= 0 && second % 2 == 1;
        const int chunk = kWhole ? 0 : second < 0 ? step : second / 2;
        const u32 to = tiles + i % 2 * kTileBytes;
        if (ofValues) copy_rows<N, kThreads>(to, values, keys_of(tile, chunk, shape.value.position, shape));
        else copy_rows<N, kThreads>(to, keys, keys_of(tile, chunk, shape.key.position, shape));
        copy_commit();
    };
    int taken = 0;
    // The next load, which has come; the one after it goes where all threads are done with the one before it.
    auto take = [&] {
        copy_wait<0>();
        __syncthreads();
        const u32 at = tiles + taken % 2 * kTileBytes;
        if (++taken < loads) load(taken);
        return at;
    };
    copy_rows<kRows, kThreads>(query, queries + place(shape.query, batch, head), rows_of(first, shape.queries, shape.query.position));
    load(0);

    const u32 mine = query + warp_index() * 16 * kRowBytes;
    const int ours = first + warp_index() * 16;
    Row rows[2];
    Gate gates[2];
    float o[D / 8][4] = {};
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int at = ours + lane_index() / 4 + 8 * r;
        rows[r] = row_at(at, (long long)batchHead * shape.queries + at, documents, batch, shape);
        gates[r] = { -infinity(), 0 };
    }

    float s[N / 8][4];
    auto step = [&](int tile, auto edge) {
        Inside whole[2][NB];
        float landmark[2][NB], factor[2][NB], rescale[2];
        auto gather = [&](int chunk, int r, int b) {
            landmark[r][b] = landmark_score(s, r, b) * shape.scaleLog2;     // the last chunk's stays
            return inside<decltype(edge)::value>(s, r, b, chunk, tile * NB + b, rows[r], choice, shape);
        };
        // A row's gate takes in the tile's blocks: what their exponentials are multiplied by.
        auto open = [&](int r) {
            float logit[NB], greatest = gates[r].greatest;
#pragma unroll
            for (int b = 0; b < NB; b++) {
                // An empty block, and one that is to come, are in no gate.
                logit[b] = whole[r][b].empty() ? -infinity() : tile * NB + b == rows[r].own ? whole[r][b].top : landmark[r][b];
                greatest = larger(greatest, logit[b]);
            }
            const float base = greatest == -infinity() ? 0 : greatest;
            rescale[r] = power_of_2(gates[r].greatest - base);
            gates[r] = { greatest, gates[r].sum * rescale[r] };
#pragma unroll
            for (int b = 0; b < NB; b++) {
                const bool own = tile * NB + b == rows[r].own;
                const float p = power_of_2(logit[b] - base);
                gates[r].sum += own ? p * whole[r][b].sum : p;
                factor[r][b] = own ? p : whole[r][b].empty() ? 0 : ratio(p, whole[r][b].sum);
                if (kDropout && !own) factor[r][b] *= keep(shape.dropout, rows[r].random, tile * NB + b);
            }
        };
        if (!kWhole) {
#pragma unroll
            for (int r = 0; r < 2; r++) whole[r][0] = { -infinity(), 0 };
            for (int chunk = 0; chunk < CHUNKS; chunk++) {
                score<N>(s, mine, take());
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const Inside part = gather(chunk, r, 0);
                    Inside& all = whole[r][0];
                    const Inside both { larger(all.top, part.top), 0 };
                    all = { both.top, all.sum * power_of_2(all.top - both.base()) + part.sum * power_of_2(part.top - both.base()) };
                }
            }
#pragma unroll
            for (int r = 0; r < 2; r++) open(r);
        }
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            score<N>(s, mine, take());
#pragma unroll
            for (int r = 0; r < 2; r++) {
                Inside part[NB];
#pragma unroll
                for (int b = 0; b < NB; b++) part[b] = gather(chunk, r, b);
                if (kWhole) {
#pragma unroll
                    for (int b = 0; b < NB; b++) whole[r][b] = part[b];
                    open(r);
                }
#pragma unroll
                for (int n = 0; n < N / 8; n++)
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const int b = n / (C / 8);
                        s[n][2 * r + e] *= kWhole ? factor[r][b] : factor[r][b] * power_of_2(part[b].top - whole[r][b].base());
                    }
            }
            if (chunk == 0 && any_lane(rescale[0] != 1 || rescale[1] != 1))
#pragma unroll
                for (int n = 0; n < D / 8; n++)
#pragma unroll
                    for (int i = 0; i < 4; i++) o[n][i] *= rescale[i / 2];
            add_rows<N>(o, take(), s);
        }
    };
    for (int tile = lastTile; tile >= lowest; tile--)
        if (is_edge(tile, ours, documents, batch, shape)) step(tile, Yes());
        else step(tile, No());

#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int at = ours + lane_index() / 4 + 8 * r;
        if (at >= shape.queries) continue;
        const float scaled = gates[r].sum > 0 ? 1 / gates[r].sum : 0;
        T* to = out + place(shape.out, batch, head) + (long long)at * shape.out.position + 2 * t;
#pragma unroll
        for (int n = 0; n < D / 8; n++) *(u32*)(to + 8 * n) = pack<T>(o[n][2 * r] * scaled, o[n][2 * r + 1] * scaled);
        // Nothing seen: a weight of zero whatever the score.
        if (t == 0) logSum[(long long)batchHead * shape.queries + at] = gates[r].sum > 0 ? gates[r].greatest + log_2(gates[r].sum) : infinity();
    }
}
