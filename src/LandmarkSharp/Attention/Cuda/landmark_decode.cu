// One token's landmark attention over a memory: for each sequence and layer a scan of all landmarks, a choice of k blocks, and
// a reading of the window's blocks and the chosen ones. Three launches, no waiting for the host in between; only what is read of
// keys and values moves. Blocks may lie in the device's memory or in pinned memory of the host. Where a model has a context-miss
// token a launch before them finds its mass; thread blocks whose heads all retrieve nothing then end before they read anything.
//
//   logits     s = form(slot) . landmark key            (landmark-attention.md 3.2: a query has a form for each slot)
//   choice     the k highest of max over sharing heads of log softmax s; of equals the later block (3.3)
//   block b    A_b = softmax of form . keys,  o_b = A_b V_b,  gate logit: its landmark's s; of the own block log sum exp
//   out        sum_b P_b o_b,  P = softmax over the blocks read of their gate logits; with a context-miss token of mass p of the
//              window's times 1 - p, and of the chosen times p (1.7)
//
// Block b of the n before the window stands in slot 0 for scanning, the last k in slots 1 to k; the r-th of c chosen for reading in
// slot r, or r + 1 + k - c if it is of the last k. A window's block b starts b blocks after the window's start, which is slot k + 1.
// A thread block takes R query heads, a unit, that share keys and, in the reading, a choice.
// Compile-time: ELEMENT, HEAD_DIM (a multiple of 8, to 256), SHARED_HEADS (a divisor of H / G, to 8).
// check: ELEMENT=bf16 HEAD_DIM=128 SHARED_HEADS=4
// check: ELEMENT=f16 HEAD_DIM=88 SHARED_HEADS=7
// check: ELEMENT=float HEAD_DIM=256 SHARED_HEADS=8
// check: ELEMENT=float HEAD_DIM=80 SHARED_HEADS=1
#include "decode_choose.cuh"

// ---- Scan: grid (splits + topK / warps, units, sequences) ----------------------------------------------------------------

constexpr int kScanThreads = 128, kScanWarps = kScanThreads / kWarp;

// scores [sequences, H, mostBlocks]; totals [sequences, H, gridDim.x, 2]: the highest and the sum of 2^(score - highest).
extern "C" __global__ void __launch_bounds__(kScanThreads) landmark_scan(
    const __grid_constant__ Sequences sequences, const T* queries, const float* angles, const float* mass, float* scores,
    float* totals, const __grid_constant__ Sizes z)
{
    __shared__ float warpTotals[kScanWarps][R][2];
    start_next();
    if (mass) wait_previous();
    const int split = blockIdx.x, unit = blockIdx.y, warp = threadIdx.x / kWarp, lane = threadIdx.x % kRowLanes, L = z.tokens + 1;
    const Sequence s = sequences.at[blockIdx.z];
    const int k = taken(s, z), old = s.inMemory - k;
    const long long firstHead = (long long)blockIdx.z * z.heads + unit * R;
    if (old == 0 && z.enough >= 1) return;                                  // all are read: nobody asks
    if (first_to_retrieve(mass, firstHead, z) == R) return;
    const T* marks = s.landmarks + unit / z.repeat * s.capacity * D;

    // The old ones share a form and are dealt out in splits; of the last k each has its own, and a warp takes one.
    int from, end, distance;
    if (split < z.splits) {
        const int each = (old + z.splits - 1) / z.splits;
        from = split * each + warp * kWarpRows, end = smaller((split + 1) * each, old);
        distance = s.position + (k + 1) * L;
    } else {
        const int recent = (split - z.splits) * kScanWarps + warp;
        from = old + recent, end = recent < k ? from + 1 : from;
        distance = s.position + (k - recent) * L;
    }
    const int head = Share::head(lane), side = threadIdx.x % kWarp / kRowLanes * kAtOnce, mine = side + Share::row(lane);
    float* to = scores + (firstHead + head) * z.mostBlocks;
    float highest = -infinity(), sum = 0;
    if (from < end) {
        auto place = [&](int row) { return marks + (z.tied && row < old ? 0 : (long long)smaller(row, end - 1)) * D; };
        Rows rows;
        rows.load(from + side, place);
        const Form form(queries + firstHead * D, angles, distance, z.scale);
        for (int next; from < end; from = next) {
            float score[kValues];
            form.dot(rows, score);
            next = from + kScanWarps * kWarpRows;
            if (next < end) rows.load(next + side, place);                  // arrives while sums go around
            Share::fold(score);
#pragma unroll
            for (int i = 0; i < kEach; i++) {
                if (!Share::owns(lane) || from + mine + i >= end) continue;
                to[from + mine + i] = score[i];
                const float most = larger(highest, score[i]);
                sum = sum * power_of_2(highest - most) + power_of_2(score[i] - most);
                highest = most;
            }
        }
    }

    // Over the lanes that have the same head, then over the warps.
    auto merge = [&](int mask) {
        const float otherHighest = shuffle_xor(highest, mask), otherSum = shuffle_xor(sum, mask), most = larger(highest, otherHighest);
        sum = scaled(sum, highest - most) + scaled(otherSum, otherHighest - most);
        highest = most;
    };
#pragma unroll
    for (int mask = 1; mask < kHeadLanes; mask *= 2) merge(mask);
#pragma unroll
    for (int mask = kRowLanes; mask < kWarp; mask *= 2) merge(mask);
    if (threadIdx.x % kWarp < kRowLanes && lane % kHeadLanes == 0 && head < R)
        warpTotals[warp][head][0] = highest, warpTotals[warp][head][1] = sum;
    __syncthreads();
    if (threadIdx.x < R) {
        float most = -infinity(), whole = 0;
        for (int w = 0; w < kScanWarps; w++) most = larger(most, warpTotals[w][threadIdx.x][0]);
        for (int w = 0; w < kScanWarps; w++) whole += scaled(warpTotals[w][threadIdx.x][1], warpTotals[w][threadIdx.x][0] - most);
        float* total = totals + ((firstHead + threadIdx.x) * gridDim.x + split) * 2;
        total[0] = most, total[1] = whole;
    }
}

// ---- Reading: grid (window blocks + topK, units, sequences) --------------------------------------------------------------

constexpr int kReadThreads = 256, kReadWarps = kReadThreads / kWarp;
constexpr int kReadRows = kReadWarps * kRows;                               // rows of values that are read at a time
constexpr int kAhead = 4;                                                   // of a lane, before it uses them
constexpr int kTogether = R < (D > 128 ? 2 : 4) ? R : (D > 128 ? 2 : 4);    // heads whose sums a lane holds

// A block's share of the output: weights times values, over the thread block's rows.
struct Values {
    Piece ahead[kAhead][kSteps];
    DEVICE void load(const T* values, int from, int tokens) {
        const int lane = threadIdx.x % kRowLanes, first = from + threadIdx.x / kRowLanes;
#pragma unroll
        for (int a = 0; a < kAhead; a++)
            load_row(values + (long long)smaller(first + a * kReadRows, tokens - 1) * D, lane, ahead[a]);
    }
    DEVICE void add(const float (*weights)[kMostSlots], int heads, int from, int tokens, float (&sum)[kTogether][kSteps][kPiece]) const {
#pragma unroll
        for (int a = 0; a < kAhead; a++) {
            const int row = from + threadIdx.x / kRowLanes + a * kReadRows;
#pragma unroll
            for (int s = 0; s < kSteps; s++) {
                float y[kPiece];
                widen<T>(ahead[a][s], y);
#pragma unroll
                for (int q = 0; q < kTogether; q++) {
                    const float weight = row < tokens && q < heads ? weights[q][row] : 0;
#pragma unroll
                    for (int i = 0; i < kPiece; i++) sum[q][s][i] += weight * y[i];
                }
            }
        }
    }
};

// Blocks of a choice of up to k: -1 stands after the last of fewer.
DEVICE int count_of(const long long* picks, int k) {
    u32 count = 0;
    for (int i = lane_index(); i < k; i += kWarp) count += picks[i] >= 0;
    return warp_sum(count);
}

// parts [sequences, H, gridDim.x, D] and logits [sequences, H, gridDim.x] are room; arrived [sequences, units] starts and ends
// as 0. out [sequences, H, D]; gates [sequences, H, topK]: P of the chosen, 0 beyond the blocks read.
extern "C" __global__ void __launch_bounds__(kReadThreads) landmark_read(
    const __grid_constant__ Sequences sequences, const T* queries, const float* angles, const float* mass, const long long* chosen,
    float* parts, float* logits, u32* arrived, T* out, float* gates, const __grid_constant__ Sizes z)
{
    __shared__ float weights[R][kMostSlots];
    __shared__ float sums[kReadWarps][kTogether][D];
    __shared__ bool last;
    const int slot = blockIdx.x, unit = blockIdx.y, warp = threadIdx.x / kWarp, lane = threadIdx.x % kRowLanes, L = z.tokens + 1;
    const Sequence s = sequences.at[blockIdx.z];
    const int k = taken(s, z), old = s.inMemory - k, own = s.position / L, group = unit / z.repeat;
    const long long firstHead = (long long)blockIdx.z * z.heads + unit * R;
    if (slot > own + k) return;
    wait_previous();

    // The window's blocks, then those that all heads of the unit have chosen but such as retrieve nothing.
    const int reader = first_to_retrieve(mass, firstHead, z);
    const long long* picks = chosen + (firstHead + reader % R) * z.topK;
    const int read = reader == R ? 0 : z.enough < 1 ? count_of(picks, k) : k, count = own + 1 + read;
    if (slot >= count) return;
    const int rank = slot - own - 1, block = rank < 0 ? s.inMemory + slot : (int)picks[rank];
    const bool isOwn = slot == own;
    const int tokens = isOwn ? smaller(s.position % L + 1, z.tokens) : z.tokens, rows = isOwn ? tokens : tokens + 1;
    const int distance = rank < 0 ? s.position - slot * L : s.position + (k + 1 - (block >= old ? rank + 1 + k - read : rank)) * L;
    const T* keys = s.blocks + ((long long)block * z.groups + group) * 2 * z.tokens * D;
    const T* mark = s.landmarks + (group * s.capacity + block) * D;

    // The landmark's key is the row behind the tokens'. All that can be is under way before the first product.
    auto place = [&](int row) { return row < tokens ? keys + (long long)row * D : isOwn ? keys : mark; };
    const int first = warp * kWarpRows + threadIdx.x % kWarp / kRowLanes * kAtOnce;
    Rows ahead;
    Values values;
    ahead.load(first, place);
    values.load(keys + (long long)z.tokens * D, 0, tokens);
    {
        const Form form(queries + firstHead * D, angles, distance, z.scale);
        for (int from = 0; from < rows; from += kReadWarps * kWarpRows) {
            float score[kValues];
            form.dot(ahead, score);
            if (from + kReadWarps * kWarpRows < rows) ahead.load(from + kReadWarps * kWarpRows + first, place);
            Share::fold(score);
#pragma unroll
            for (int i = 0; i < kEach; i++) {
                const int row = from + first + Share::row(lane) + i;
                if (Share::owns(lane) && row < rows) weights[Share::head(lane)][row] = score[i];
            }
        }
    }
    __syncthreads();
    for (int q = warp; q < R; q += kReadWarps) {
        const int i = lane_index();
        const float mark = weights[q][tokens];                              // no block's own: that has no landmark yet
        float most = -infinity(), sum = 0;
        for (int j = i; j < tokens; j += kWarp) most = larger(most, weights[q][j]);
        most = warp_max(most);
        for (int j = i; j < tokens; j += kWarp) sum += weights[q][j] = power_of_2(weights[q][j] - most);
        sum = warp_sum(sum);
        for (int j = i; j < tokens; j += kWarp) weights[q][j] /= sum;
        if (i == 0) logits[(firstHead + q) * gridDim.x + slot] = isOwn ? most + log_2(sum) : mark;
    }
    __syncthreads();
#pragma unroll
    for (int head = 0; head < R; head += kTogether) {
        const int heads = smaller(kTogether, R - head);
        float sum[kTogether][kSteps][kPiece] = {};
        if (head > 0) values.load(keys + (long long)z.tokens * D, 0, tokens);
        for (int from = 0; from < tokens; from += kAhead * kReadRows) {
            values.add(weights + head, heads, from, tokens, sum);
            if (from + kAhead * kReadRows < tokens) values.load(keys + (long long)z.tokens * D, from + kAhead * kReadRows, tokens);
        }
#pragma unroll
        for (int q = 0; q < kTogether; q++)
#pragma unroll
            for (int t = 0; t < kSteps; t++)
#pragma unroll
                for (int i = 0; i < kPiece; i++) {
#pragma unroll
                    for (int mask = kRowLanes; mask < kWarp; mask *= 2) sum[q][t][i] += shuffle_xor(sum[q][t][i], mask);
                    const int piece = lane + t * kRowLanes;
                    if (lane_index() < kRowLanes && piece < kPieces) sums[warp][q][piece * kPiece + i] = sum[q][t][i];
                }
        __syncthreads();
        for (int i = threadIdx.x; i < heads * D; i += kReadThreads) {
            float all = 0;
#pragma unroll
            for (int w = 0; w < kReadWarps; w++) all += sums[w][i / D][i % D];
            parts[((firstHead + head + i / D) * gridDim.x + slot) * D + i % D] = all;
        }
        __syncthreads();
    }

    // Whoever is last for its heads adds up.
    device_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomic_add(arrived + blockIdx.z * gridDim.y + unit, 1) == (u32)count - 1;
        if (last) arrived[blockIdx.z * gridDim.y + unit] = 0;
    }
    __syncthreads();
    if (!last) return;
    device_fence();
    for (int q = warp; q < R; q += kReadWarps) {
        // Blocks from one slot to another share a mass.
        auto share = [&](int from, int end, float whole) {
            const float* at = logits + (firstHead + q) * gridDim.x;
            float most = -infinity(), sum = 0;
            for (int i = from + lane_index(); i < end; i += kWarp) most = larger(most, at[i]);
            most = warp_max(most);
            for (int i = from + lane_index(); i < end; i += kWarp) sum += weights[q][i] = power_of_2(at[i] - most);
            const float by = whole / warp_sum(sum);
            for (int i = from + lane_index(); i < end; i += kWarp) weights[q][i] *= by;
        };
        const bool reads = retrieves(mass, firstHead + q, z);
        if (mass) {
            const float missed = mass[firstHead + q];
            share(0, own + 1, 1 - missed);
            if (reads) share(own + 1, count, missed);
        } else {
            share(0, count, 1);
        }
        warp_sync();
        for (int i = lane_index(); i < z.topK; i += kWarp)
            gates[(firstHead + q) * z.topK + i] = i < read && reads ? weights[q][own + 1 + i] : 0;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < R * D; i += kReadThreads) {
        const long long head = firstHead + i / D;
        const float* part = parts + head * gridDim.x * D + i % D;
        const int end = retrieves(mass, head, z) ? count : own + 1;
        float x = 0;
        for (int b = 0; b < end; b += 8) {
            float some[8];
#pragma unroll
            for (int a = 0; a < 8; a++) some[a] = part[(long long)smaller(b + a, end - 1) * D];
#pragma unroll
            for (int a = 0; a < 8; a++) x += b + a < end ? weights[i / D][b + a] * some[a] : 0;
        }
        from_float(x, out[firstHead * D + i]);
    }
}
