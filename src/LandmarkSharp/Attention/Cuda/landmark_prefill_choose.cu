// Prefill with retrieval, first half: which blocks before its window each query reads (landmark-attention.md 3.2 and 3.3).
//
//   form(r)   = R(place + (k + 1 - r) L) q        of a query at a place of its window, for a block in slot r
//   s_b       = form(slot of b) . landmark key b  slot 0 for the m - k old blocks, slots 1 to k for the last k of m
//   choice    = the k highest of max over those who share it of (s_b - log sum_b e^{s_b}); of equals the later block
//
// R is orthogonal, so form(r) . x = form(0) . R(r L) x: the recent k keys are turned instead, once for 64 queries, and one form
// is multiplied with all keys. A form is the sum of two 16-bit rows, and so is a turned key: products as exact as float32's,
// so that prefill chooses what decoding does.
//
// KEEP = ceil(k / 32).
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 KEEP=1
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51 KEEP=3
#include "prefill.cuh"

struct __align__(8) Pair { float x, y; };

// The queries from `from` to `to` of what is scanned at a time, and the row of scores [H, to - from, stride].
struct Part { int from, to, firstWindow, stride; };

// ---- Scan: grid (tiles, H) -----------------------------------------------------------------------------------------------

// scores [H, to - from, stride]; totals [H, to - from]: the logarithm of a row's sum, where choices are shared.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_scan(
    const T* queries, const T* landmarks, const float* angles, float* scores, float* totals,
    const __grid_constant__ Sizes z, const __grid_constant__ Part part)
{
    __shared__ Rows rows;
    const int head = blockIdx.y;
    const Tile tile = tile_at(blockIdx.x + part.firstWindow * tiles_of_window(z), part.from, part.to, z);
    const Window window(tile.window, z);
    if (tile.begin >= tile.end || window.old == 0) return;
    const u32 first = dynamic_shared(), second = first + kTileBytes;
    const bool shared = z.chosenHeads > 1 || z.perWindow;
    landmarks += head / (z.heads / z.groups) * z.landmarkGroup;

    if (threadIdx.x < kRows) {
        rows.from[threadIdx.x] = tile.has(threadIdx.x) ? queries + head * z.queryHead + (tile.query + (int)threadIdx.x) * z.queryPosition : nullptr;
        rows.distance[threadIdx.x] = tile.place + threadIdx.x + (window.taken + 1) * L;
    }
    __syncthreads();
    turn_rows<true>(first, second, rows, 0, angles);
    __syncthreads();
    u32 form[D / 16][4], rest[D / 16][4];
#pragma unroll
    for (int k = 0; k < D / 16; k++) load_rows(form[k], rows_at(first), k), load_rows(rest[k], rows_at(second), k);
    __syncthreads();

    float highest[2] = { -infinity(), -infinity() }, sum[2] = {};
    // Columns of 32 keys that lie at `keys`, rows 32 half on; Turned: what rounding took of them lies in the second tile.
    auto columns = [&](auto turned, u32 keys, int half, int block, int end) {
        float s[4][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            u32 b[2][4];
#pragma unroll
            for (int n = 0; n < 2; n++) load_columns(b[n], keys, k, 2 * half + n);
#pragma unroll
            for (int n = 0; n < 4; n++) mma<T>(s[n], form[k], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
#pragma unroll
            for (int n = 0; n < 4; n++) mma<T>(s[n], rest[k], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
            if (!decltype(turned)::value) continue;
#pragma unroll
            for (int n = 0; n < 2; n++) load_columns(b[n], second, k, 2 * half + n);
#pragma unroll
            for (int n = 0; n < 4; n++) mma<T>(s[n], form[k], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float* to = scores + ((long long)head * (part.to - part.from) + tile.query + row_of(r) - part.from) * part.stride;
            float most = highest[r];
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int column = block + 32 * half + 8 * n + lane_index() % 4 * 2;
                float &x = s[n][2 * r], &y = s[n][2 * r + 1];
                x = column < end ? x * z.scale : -infinity();
                y = column + 1 < end ? y * z.scale : -infinity();
                most = larger(most, larger(x, y));
                if (!tile.has(row_of(r))) continue;
                // Recent blocks may begin at an odd column.
                if (!decltype(turned)::value && column + 1 < end) *(Pair*)(to + column) = { x, y };
                else {
                    if (column < end) to[column] = x;
                    if (column + 1 < end) to[column + 1] = y;
                }
            }
            if (!shared || most == -infinity()) continue;
            float more = 0;
#pragma unroll
            for (int n = 0; n < 4; n++) more += power_of_2(s[n][2 * r] - most) + power_of_2(s[n][2 * r + 1] - most);
            sum[r] = sum[r] * power_of_2(highest[r] - most) + more;
            highest[r] = most;
        }
    };

    // Old blocks, as they lie; while a tile is multiplied the next one comes.
    auto load = [&](int block) {
        if (block < window.old)
#pragma unroll 4
            for (int step = 0; step < kRows * kPieces / kThreads; step++) {
                const int i = step * kThreads + threadIdx.x, row = i / kPieces, piece = i % kPieces;
                const bool there = block + row < window.old;
                copy_async((block / kRows % 2 ? second : first) + row * kRowBytes + piece * 16,
                           landmarks + (z.tied || !there ? 0 : (long long)(block + row) * D) + piece * 8, there ? 16 : 0);
            }
        copy_commit();
    };
    load(0);
    for (int block = 0; block < window.old; block += kRows) {
        load(block + kRows);
        copy_wait<1>();
        __syncthreads();
#pragma unroll 1
        for (int half = 0; half < 2; half++) columns(No(), block / kRows % 2 ? second : first, half, block, window.old);
        __syncthreads();
    }
    // Recent blocks, turned by their slots.
    for (int recent = 0; recent < window.taken; recent += kRows) {
        __syncthreads();
        if (threadIdx.x < kRows) {
            const int slot = recent + threadIdx.x + 1;
            rows.from[threadIdx.x] = slot <= window.taken ? landmarks + (long long)(window.old + slot - 1) * D : nullptr;
            rows.distance[threadIdx.x] = slot * L;
        }
        __syncthreads();
        turn_rows<true>(first, second, rows, 0, angles);
        __syncthreads();
#pragma unroll 1
        for (int half = 0; half < 2; half++)
            if (recent + 32 * half < window.taken) columns(Yes(), first, half, window.old + recent, window.inMemory);
    }
    if (!shared) return;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float most = warp_max<4>(highest[r]);
        const float whole = warp_sum<4>(highest[r] == -infinity() ? 0 : sum[r] * power_of_2(highest[r] - most));
        if (lane_index() % 4 == 0 && tile.has(row_of(r)))
            totals[(long long)head * (part.to - part.from) + tile.query + row_of(r) - part.from] = most + log_2(whole);
    }
}

// ---- One choice for a window's queries: grid (stride / kThreads, windows of the part, H) ----------------------------------

// The queries of the part that stand in a window, counted from the part's first.
DEVICE int first_of(int window, const Sizes& z, const Part& part) {
    const int first = window * z.windowBlocks * L - z.before - part.from;
    return first > 0 ? first : 0;
}

// The maximum over them of the scores' log softmax, into the first one's row.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_share(
    float* scores, const float* totals, const __grid_constant__ Sizes z, const __grid_constant__ Part part)
{
    const int block = blockIdx.x * kThreads + threadIdx.x, index = part.firstWindow + blockIdx.y, count = part.to - part.from;
    const Window window(index, z);
    if (window.old == 0 || block >= window.inMemory) return;
    const int from = first_of(index, z, part), end = smaller(first_of(index + 1, z, part), count);
    const long long row = (long long)blockIdx.z * count;
    float most = -infinity();
    for (int query = from; query < end; query++) most = larger(most, scores[(row + query) * part.stride + block] - totals[row + query]);
    scores[(row + from) * part.stride + block] = most;
}

// ---- Choice: grid (rows / kWarps, H / chosenHeads), a warp for each ------------------------------------------------------

// A number whose order as an unsigned integer is the float's; NaN is no higher than -infinity, and all are above 0.
DEVICE u32 ordered(float x) {
    const u32 bits = as_bits(x != x ? -infinity() : x);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// The highest so far, in order: lane i has the i-th, the (i + 32)-th, ...
struct Best {
    u32 key[KEEP] = {};
    int block[KEEP] = {};

    DEVICE u32 at(int rank) const {
        u32 x = 0;
#pragma unroll
        for (int j = 0; j < KEEP; j++)
            if (j == rank / kWarp) x = shuffle(key[j], rank % kWarp);
        return x;
    }
    // After those that are equal.
    DEVICE void add(u32 x, int b) {
#pragma unroll
        for (int j = KEEP - 1; j >= 0; j--) {
            u32 above = shuffle(key[j], lane_index() + kWarp - 1), from = shuffle((u32)block[j], lane_index() + kWarp - 1);
            if (j > 0) {
                const u32 last = shuffle(key[j > 0 ? j - 1 : 0], kWarp - 1), lastBlock = shuffle((u32)block[j > 0 ? j - 1 : 0], kWarp - 1);
                if (lane_index() == 0) above = last, from = lastBlock;
            } else if (lane_index() == 0) above = kAllLanes;
            if (key[j] < x) {
                block[j] = above < x ? (int)from : b;
                key[j] = above < x ? above : x;
            }
        }
    }
};

// chosen [H / chosenHeads, choices, topK], ascending; -1 where there are fewer blocks. rows: choices of the part.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_choose(
    const float* scores, const float* totals, int* chosen, int rows, const __grid_constant__ Sizes z, const __grid_constant__ Part part)
{
    const int row = blockIdx.x * kWarps + warp_index(), lane = lane_index();
    if (row >= rows) return;
    const int index = z.perWindow ? part.firstWindow + row : window_of(part.from + row, z);
    const Window window(index, z);
    const int k = window.taken, m = window.inMemory;
    int* to = chosen + ((long long)blockIdx.y * z.choices + (z.perWindow ? index : part.from + row)) * z.topK;
    if (window.old == 0) {
        for (int i = lane; i < z.topK; i += kWarp) to[i] = i < k ? i : -1;
        return;
    }
    // A head's softmax keeps its order: alone it needs none. Where a window's queries share, theirs is done.
    const bool shared = z.chosenHeads > 1;
    const int query = z.perWindow ? first_of(index, z, part) : row;
    Best best;
    u32 lowest = 0;
    // From the last block on, so that an equal one later in the text is there before.
    for (int top = (m + kWarp - 1) / kWarp * kWarp; top > 0; top -= 4 * kWarp) {
        float score[4];
#pragma unroll
        for (int u = 0; u < 4; u++) score[u] = -infinity();
        for (int head = 0; head < z.chosenHeads; head++) {
            const long long at = (long long)(blockIdx.y * z.chosenHeads + head) * (part.to - part.from) + query;
            const float whole = shared ? totals[at] : 0;
#pragma unroll
            for (int u = 0; u < 4; u++) {
                const int block = top - (u + 1) * kWarp + lane;
                if (block >= 0 && block < m) score[u] = larger(score[u], scores[at * part.stride + block] - whole);
            }
        }
#pragma unroll
        for (int u = 0; u < 4; u++) {
            const int block = top - (u + 1) * kWarp + lane;
            const u32 key = block >= 0 && block < m ? ordered(score[u]) : 0;
            for (u32 left = ballot(key > lowest); left != 0;) {
                const int source = highest_bit(left);
                best.add(shuffle(key, source), top - (u + 1) * kWarp + source);
                lowest = best.at(k - 1);
                left = ballot(key > lowest) & ((1u << source) - 1);
            }
        }
    }
    // In the order of the text.
    int rank[KEEP] = {};
#pragma unroll
    for (int j = 0; j < KEEP; j++)
        for (int i = 0; i < smaller(k - j * kWarp, kWarp); i++) {
            const int other = (int)shuffle((u32)best.block[j], i);
#pragma unroll
            for (int mine = 0; mine < KEEP; mine++) rank[mine] += other < best.block[mine];
        }
#pragma unroll
    for (int j = 0; j < KEEP; j++)
        if (j * kWarp + lane < k) to[rank[j]] = best.block[j];
    for (int i = k + lane; i < z.topK; i += kWarp) to[i] = -1;
}
