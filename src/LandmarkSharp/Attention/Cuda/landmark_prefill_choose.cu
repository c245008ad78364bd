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
// The scan leaves the greatest of every 8 old scores too. From those a row's choice has a bound, and it reads the few eights
// that reach it.
//
// KEEP = ceil(k / 32).
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64 KEEP=1
// check: ELEMENT=f16 HEAD_DIM=80 BLOCK=51 KEEP=3
#include "mass.cuh"
#include "prefill.cuh"

struct __align__(8) Pair { float x, y; };

constexpr int kEight = 8;                                   // columns that share an entry of maxima

// The queries from `from` to `to` of what is scanned at a time, and the row of scores [H, to - from, stride] and of maxima
// [H, to - from, stride / 8]; the stride is a multiple of 64.
struct Part { int from, to, firstWindow, stride; };

// Whether anybody asks for the scores of the blocks before a window: where all are read, those whose choices end by mass.
DEVICE bool scans(const Window& window, const Sizes& z) { return window.old > 0 || (window.inMemory > 0 && z.enough < 1); }

// ---- Scan: grid (tiles, H) -----------------------------------------------------------------------------------------------

// scores; maxima of the old ones; totals [H, to - from]: the logarithm of a row's sum, where choices are shared or end by mass. A
// query that reads nothing has no scores, or any.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_scan(
    const T* queries, const T* landmarks, const float* angles, const int* reads, float* scores, float* maxima, float* totals,
    const __grid_constant__ Sizes z, const __grid_constant__ Part part)
{
    __shared__ Rows rows;
    __shared__ bool wanted;
    const int head = blockIdx.y;
    const Tile tile = tile_at(blockIdx.x + part.firstWindow * tiles_of_window(z), part.from, part.to, z);
    const Window window(tile.window, z);
    if (tile.begin >= tile.end || !scans(window, z)) return;
    const u32 first = dynamic_shared(), second = first + kTileBytes;
    const bool shared = z.chosenHeads > 1 || z.perWindow || z.enough < 1;
    landmarks += head / (z.heads / z.groups) * z.landmarkGroup;

    if (threadIdx.x == 0) wanted = false;
    __syncthreads();
    fill_rows(rows, tile, tile.place + (window.taken + 1) * L, [&](int row) {
        const bool reading = reads_of(reads, head, tile.query + row, window, z) > 0;
        if (reading) wanted = true;
        return reading ? queries + head * z.queryHead + (tile.query + row) * z.queryPosition : nullptr;
    });
    __syncthreads();
    if (!wanted) return;
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
            const long long row = ((long long)head * (part.to - part.from) + tile.query + row_of(r) - part.from) * part.stride;
            float *to = scores + row, most = highest[r], eights[4];
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int column = block + 32 * half + 8 * n + lane_index() % 4 * 2;
                float &x = s[n][2 * r], &y = s[n][2 * r + 1];
                x = column < end ? x * z.scale : -infinity();
                y = column + 1 < end ? y * z.scale : -infinity();
                most = larger(most, eights[n] = larger(x, y));
                if (!tile.has(row_of(r))) continue;
                // Recent blocks may begin at an odd column.
                if (!decltype(turned)::value && column + 1 < end) *(Pair*)(to + column) = { x, y };
                else {
                    if (column < end) to[column] = x;
                    if (column + 1 < end) to[column + 1] = y;
                }
            }
            if (!decltype(turned)::value) {
                // Each lane ends up with the maximum of one n among its four.
                const bool high = lane_index() & 2, odd = lane_index() & 1;
                const float a = larger(high ? eights[2] : eights[0], shuffle_xor(high ? eights[0] : eights[2], 2));
                const float b = larger(high ? eights[3] : eights[1], shuffle_xor(high ? eights[1] : eights[3], 2));
                const float eight = larger(odd ? b : a, shuffle_xor(odd ? a : b, 1));
                if (tile.has(row_of(r))) maxima[(row + block + 32 * half) / kEight + lane_index() % 4] = eight;
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

// The maximum over those of them that read of the scores' log softmax: common [H, windows, stride]; maxima [H, windows, stride / 8].
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_share(
    const float* scores, const float* totals, const int* reads, float* common, float* maxima, const __grid_constant__ Sizes z,
    const __grid_constant__ Part part)
{
    const int block = blockIdx.x * kThreads + threadIdx.x, index = part.firstWindow + blockIdx.y, count = part.to - part.from, head = blockIdx.z;
    const Window window(index, z);
    if (!scans(window, z)) return;
    const int from = first_of(index, z, part), end = smaller(first_of(index + 1, z, part), count);
    const long long row = (long long)head * count, to = ((long long)head * gridDim.y + blockIdx.y) * part.stride + block;
    float most = -infinity();
    if (block < window.inMemory) {
        for (int query = from; query < end; query++)
            if (reads_of(reads, head, part.from + query, window, z) > 0)
                most = larger(most, scores[(row + query) * part.stride + block] - totals[row + query]);
        common[to] = most;
    }
    most = warp_max<kEight>(block < window.old ? most : -infinity());
    if (block % kEight == 0 && block < window.old) maxima[to / kEight] = most;
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

// scores and maxima have a row for each head and choice: a query's, or what a window's have in common; own [H, to - from, stride]
// are the queries'. reads [H, T] is told where choices end by mass; else who reads nothing has no part in a choice, and null is for
// all reading. chosen [H / chosenHeads, choices, topK], ascending; -1 where there are fewer blocks. rows: choices of the part.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_choose(
    const float* scores, const float* maxima, const float* own, const float* totals, int* reads, int* chosen, int rows,
    const __grid_constant__ Sizes z, const __grid_constant__ Part part)
{
    __shared__ int ranked[kWarps][KEEP * kWarp];
    const int row = blockIdx.x * kWarps + warp_index(), lane = lane_index(), queries = part.to - part.from;
    if (row >= rows) return;
    const int index = z.perWindow ? part.firstWindow + row : window_of(part.from + row, z), firstHead = blockIdx.y * z.chosenHeads;
    const int from = z.perWindow ? first_of(index, z, part) : row, end = z.perWindow ? smaller(first_of(index + 1, z, part), queries) : row + 1;
    const Window window(index, z);
    const bool ends = z.enough < 1;
    const int* who = ends ? nullptr : reads;
    const int k = window.taken, eights = (window.old + kEight - 1) / kEight;
    int* to = chosen + ((long long)blockIdx.y * z.choices + (z.perWindow ? index : part.from + row)) * z.topK;
    // The first `count` of the highest are read.
    auto tell = [&](int count) {
        for (int i = count + lane; i < z.topK; i += kWarp) to[i] = -1;
        for (int head = 0; ends && head < z.chosenHeads; head++)
            for (int query = from + lane; query < end; query += kWarp)
                reads[(long long)(firstHead + head) * z.queries + part.from + query] = count;
    };
    bool any = !who && k > 0;
    for (int head = 0; who && head < z.chosenHeads; head++)
        for (int query = from + lane; query < end; query += kWarp) any |= reads_of(who, firstHead + head, part.from + query, window, z) > 0;
    if (!any_lane(any)) return tell(0);
    if (!scans(window, z)) {
        for (int i = lane; i < k; i += kWarp) to[i] = i;
        return tell(k);
    }
    // A head's softmax keeps its order: alone it needs none. Where a window's queries share, theirs is done.
    const bool shared = z.chosenHeads > 1;
    // The highest of all who share, of some score or maximum in rows of a length.
    auto highest = [&](const float* from, int length, int at) {
        float most = -infinity();
        for (int head = 0; head < z.chosenHeads; head++) {
            if (shared && reads_of(who, firstHead + head, part.from + row, window, z) == 0) continue;
            const long long one = (long long)(firstHead + head) * rows + row;
            most = larger(most, from[one * length + at] - (shared ? totals[one] : 0));
        }
        return most;
    };
    auto highest_of_eight = [&](int eight) { return eight < eights ? ordered(highest(maxima, part.stride / kEight, eight)) : 0; };

    // Each lane's own highest is some block's score: at least k blocks reach the k-th of them.
    u32 mine = 0, lowest = 0;
    for (int eight = lane; eight < eights; eight += kWarp) {
        const u32 key = highest_of_eight(eight);
        if (key > mine) mine = key;
    }
    for (int bit = 31; bit >= 0; bit--)
        if (bits_set(ballot(mine >= (lowest | 1u << bit))) >= k) lowest |= 1u << bit;
    if (lowest > 0) lowest--;                               // what is as high as the bound is in

    Best best;
    // In order of the text from its end on, so that an equal one later in the text is there before; lanes in the text's order.
    auto take = [&](u32 key, int block) {
        for (u32 left = ballot(key > lowest); left != 0;) {
            const int source = highest_bit(left);
            best.add(shuffle(key, source), (int)shuffle((u32)block, source));
            const u32 last = best.at(k - 1);                // 0 as long as there are fewer
            if (last > lowest) lowest = last;
            left = ballot(key > lowest) & ((1u << source) - 1);
        }
    };
    for (int top = window.inMemory; top > window.old; top -= kWarp) {
        const int block = top - kWarp + lane;
        take(block >= window.old ? ordered(highest(scores, part.stride, block)) : 0, block);
    }
    for (int top = (eights + kWarp - 1) / kWarp * kWarp; top > 0; top -= kWarp) {
        const u32 key = highest_of_eight(top - kWarp + lane);
        for (u32 left = ballot(key > lowest); left != 0; left &= ballot(key > lowest)) {
            // Four eights at a time, the last in the text in the last lanes.
            int eight = -1;
#pragma unroll
            for (int i = 3; i >= 0; i--) {
                const int bit = highest_bit(left);          // -1 for none
                if (lane / kEight == i && left != 0) eight = top - kWarp + bit;
                if (left != 0) left ^= 1u << bit;
            }
            const int block = eight * kEight + lane % kEight;
            take(eight >= 0 && block < window.old ? ordered(highest(scores, part.stride, block)) : 0, block);
        }
    }
    int count = k;
    if (ends) {
        // As many as the one of those who share needs that needs most.
#pragma unroll
        for (int j = 0; j < KEEP; j++) ranked[warp_index()][j * kWarp + lane] = best.block[j];
        warp_sync();
        count = 1;
        for (int head = 0; head < z.chosenHeads; head++)
            for (int query = from; query < end && count < k; query++) {
                const long long one = (long long)(firstHead + head) * queries + query;
                const int more = needed(k, z.enough, [&](int rank) { return power_of_2(own[one * part.stride + ranked[warp_index()][rank]] - totals[one]); });
                if (more > count) count = more;
            }
    }
    // In the order of the text.
    int rank[KEEP] = {};
#pragma unroll
    for (int j = 0; j < KEEP; j++)
        for (int i = 0; i < smaller(count - j * kWarp, kWarp); i++) {
            const int other = (int)shuffle((u32)best.block[j], i);
#pragma unroll
            for (int mine = 0; mine < KEEP; mine++) rank[mine] += other < best.block[mine];
        }
#pragma unroll
    for (int j = 0; j < KEEP; j++)
        if (j * kWarp + lane < count) to[rank[j]] = best.block[j];
    tell(count);
}
