// One token's landmark attention over a memory: for each sequence and layer a scan of all landmarks, a choice of k blocks, and
// a reading of the chosen blocks and the window's. Three launches, no waiting for the host in between; only what is read of
// keys and values moves. Blocks may lie in the device's memory or in pinned memory of the host.
//
//   logits     s = form(slot) . landmark key            (landmark-attention.md 3.2: a query has a form for each slot)
//   choice     the k highest of max over sharing heads of log softmax s; of equals the later block (3.3)
//   block b    A_b = softmax of form . keys,  o_b = A_b V_b,  gate logit: its landmark's s; of the own block log sum exp
//   out        sum_b P_b o_b,  P = softmax over the blocks read of their gate logits
//
// Block b of the n before the window stands in slot 0 for scanning, the last k in slots 1 to k; the r-th chosen for reading in
// slot r, or r + 1 if it is of the last k. A window's block b starts b blocks after the window's start, which is slot k + 1.
// Compile-time: ELEMENT, HEAD_DIM (a multiple of 8, to 256), SHARED_HEADS = H / G.
// check: ELEMENT=bf16 HEAD_DIM=128 SHARED_HEADS=4
// check: ELEMENT=float HEAD_DIM=80 SHARED_HEADS=1
#include "common.cuh"

typedef ELEMENT T;
constexpr int D = HEAD_DIM, R = SHARED_HEADS, kThreads = 128, kWarps = kThreads / kWarp;
constexpr int kPiece = 16 / sizeof(T);                                      // elements of 16 bytes
constexpr int kPieces = D / kPiece;
constexpr int kRowLanes = kPieces > 16 ? 32 : kPieces > 8 ? 16 : kPieces > 4 ? 8 : 4;     // lanes that share a row
constexpr int kSteps = (kPieces + kRowLanes - 1) / kRowLanes;               // pieces of a row in each lane
constexpr int kRows = kWarp / kRowLanes;                                    // rows that a warp has at a time
constexpr int kSelectThreads = 1024;

// A sequence in a layer.
struct Sequence {
    const T* blocks;        // [capacity, G, 2, tokens, D]: keys at block-local phase, values
    const T* landmarks;     // [G, capacity, D]
    long long capacity;
    int inMemory;           // blocks before the window
    int position;           // of the query, from the window's start
};

struct Sizes {
    int groups, tokens, topK, splits, chosenHeads, tied, mostBlocks;        // chosenHeads: heads that share a choice
    float scale;                                                            // of scores, times log2 e
};

DEVICE int taken(const Sequence& s, const Sizes& z) { return smaller(z.topK, s.inMemory); }

// 16 bytes as they are.
struct __align__(16) Piece { u32 words[4]; };
DEVICE void widen(const Piece& piece, float (&x)[kPiece]) {
    const T* elements = (const T*)&piece;
#pragma unroll
    for (int i = 0; i < kPiece; i++) x[i] = to_float(elements[i]);
}

// The forms of a group's queries in shared memory, [R, D], turned by so many positions and scaled.
DEVICE void turn(float (&form)[R][D], const T* query, const float* angles, int distance, float scale) {
    const float *cos = angles + (long long)distance * D, *sin = cos + D / 2;
    for (int i = threadIdx.x; i < R * D / 2; i += kThreads) {
        const int r = i / (D / 2), c = i % (D / 2);
        const float a = to_float(query[r * D + c]) * scale, b = to_float(query[r * D + D / 2 + c]) * scale;
        form[r][c] = a * cos[c] - b * sin[c];
        form[r][c + D / 2] = b * cos[c] + a * sin[c];
    }
}

// A lane's part of the forms: pieces lane, lane + kRowLanes, ...
struct Form {
    float x[R][kSteps][kPiece];
    DEVICE Form(const float (&form)[R][D]) {
        const int lane = threadIdx.x % kRowLanes;
#pragma unroll
        for (int r = 0; r < R; r++)
#pragma unroll
            for (int s = 0; s < kSteps; s++)
#pragma unroll
                for (int i = 0; i < kPiece; i++) {
                    const int piece = lane + s * kRowLanes;
                    x[r][s][i] = piece < kPieces ? form[r][piece * kPiece + i] : 0;
                }
    }
    // Scores of one row, in every lane of those that share it.
    DEVICE void dot(const T* row, bool there, float (&score)[R]) const {
        const int lane = threadIdx.x % kRowLanes;
        float sum[R] = {};
#pragma unroll
        for (int s = 0; s < kSteps; s++) {
            const int piece = lane + s * kRowLanes;
            if (!there || piece >= kPieces) continue;
            float y[kPiece];
            widen(((const Piece*)row)[piece], y);
#pragma unroll
            for (int r = 0; r < R; r++)
#pragma unroll
                for (int i = 0; i < kPiece; i++) sum[r] += x[r][s][i] * y[i];
        }
#pragma unroll
        for (int r = 0; r < R; r++) score[r] = warp_sum<kRowLanes>(sum[r]);
    }
};

// ---- Scan: grid (splits, G, sequences) -----------------------------------------------------------------------------------

// scores [sequences, H, mostBlocks]; totals [sequences, H, splits, 2]: the highest and the sum of 2^(score - highest).
extern "C" __global__ void __launch_bounds__(kThreads) landmark_scan(
    const Sequence* sequences, const T* queries, const float* angles, float* scores, float* totals, int blockLength,
    const __grid_constant__ Sizes z)
{
    __shared__ float form[R][D];
    __shared__ float warpTotals[kWarps][R][2];
    const int split = blockIdx.x, group = blockIdx.y, heads = z.groups * R;
    const Sequence s = sequences[blockIdx.z];
    const int k = taken(s, z), old = s.inMemory - k, warp = threadIdx.x / kWarp;
    if (k == 0) return;
    const T* query = queries + ((long long)blockIdx.z * heads + group * R) * D;
    const T* marks = s.landmarks + group * s.capacity * D;
    float* to = scores + ((long long)blockIdx.z * heads + group * R) * z.mostBlocks;
    float highest[R], sum[R];
#pragma unroll
    for (int r = 0; r < R; r++) highest[r] = -infinity(), sum[r] = 0;
    auto add = [&](int block, const float (&score)[R]) {
        if (threadIdx.x % kRowLanes != 0) return;
#pragma unroll
        for (int r = 0; r < R; r++) {
            to[(long long)r * z.mostBlocks + block] = score[r];
            const float most = larger(highest[r], score[r]);
            sum[r] = sum[r] * power_of_2(highest[r] - most) + power_of_2(score[r] - most);
            highest[r] = most;
        }
    };

    turn(form, query, angles, s.position + (k + 1) * blockLength, z.scale);
    __syncthreads();
    {
        const Form mine(form);
        const int each = (old + z.splits - 1) / z.splits, from = split * each, end = smaller(from + each, old);
        const int first = from + warp * kRows + threadIdx.x % kWarp / kRowLanes;
        // All lanes of a warp go round alike: they add together.
        for (int row = first; row - first < end - from; row += kWarps * kRows) {
            float score[R];
            mine.dot(marks + (z.tied ? 0 : (long long)row) * D, row < end, score);
            if (row < end) add(row, score);
        }
    }
    for (int recent = split; recent < k; recent += z.splits) {
        __syncthreads();
        turn(form, query, angles, s.position + (k - recent) * blockLength, z.scale);
        __syncthreads();
        if (warp != 0) continue;
        float score[R];
        Form(form).dot(marks + (long long)(old + recent) * D, true, score);
        if (threadIdx.x == 0) add(old + recent, score);
    }

    // Over the lanes that added, then over the warps.
#pragma unroll
    for (int r = 0; r < R; r++) {
        const float most = warp_max(highest[r]);
        const float whole = warp_sum(most == -infinity() ? 0 : sum[r] * power_of_2(highest[r] - most));
        if (threadIdx.x % kWarp == 0) warpTotals[warp][r][0] = most, warpTotals[warp][r][1] = whole;
    }
    __syncthreads();
    if (threadIdx.x < R) {
        float most = -infinity(), whole = 0;
        for (int w = 0; w < kWarps; w++) most = larger(most, warpTotals[w][threadIdx.x][0]);
        for (int w = 0; w < kWarps; w++)
            if (warpTotals[w][threadIdx.x][1] > 0) whole += warpTotals[w][threadIdx.x][1] * power_of_2(warpTotals[w][threadIdx.x][0] - most);
        float* total = totals + (((long long)blockIdx.z * heads + group * R + threadIdx.x) * z.splits + split) * 2;
        total[0] = most, total[1] = whole;
    }
}

// ---- Choice: grid (H / chosenHeads, sequences) ---------------------------------------------------------------------------

// A number whose order as an unsigned integer is the float's; NaN is the lowest.
DEVICE u32 ordered(float x) {
    const u32 bits = as_bits(x);
    if (x != x) return 0;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// keys [sequences, H / chosenHeads, mostBlocks] is room; chosen [sequences, H / chosenHeads, topK], ascending.
extern "C" __global__ void __launch_bounds__(kSelectThreads) landmark_choose(
    const Sequence* sequences, const float* scores, const float* totals, u32* keys, int* chosen, const __grid_constant__ Sizes z)
{
    __shared__ int bins[2048];
    __shared__ int found, above, bound;
    __shared__ int picks[256];
    const Sequence s = sequences[blockIdx.y];
    const int k = taken(s, z), m = s.inMemory, heads = z.groups * R;
    const long long row = (long long)blockIdx.y * gridDim.x + blockIdx.x;
    int* to = chosen + row * z.topK;
    if (k == m) {
        for (int i = threadIdx.x; i < k; i += kSelectThreads) to[i] = i;
        return;
    }
    keys += row * z.mostBlocks;
    const long long firstHead = (long long)blockIdx.y * heads + blockIdx.x * z.chosenHeads;

    // A head's softmax keeps its order: alone it needs none.
    for (int h = 0; h < z.chosenHeads; h++) {
        const float* total = totals + (firstHead + h) * z.splits * 2;
        float most = -infinity(), sum = 0;
        for (int i = 0; i < z.splits; i++) most = larger(most, total[2 * i]);
        for (int i = 0; i < z.splits; i++)
            if (total[2 * i + 1] > 0) sum += total[2 * i + 1] * power_of_2(total[2 * i] - most);
        const float whole = z.chosenHeads == 1 ? 0 : most + log_2(sum);
        for (int i = threadIdx.x; i < m; i += kSelectThreads) {
            const u32 key = ordered(scores[(firstHead + h) * z.mostBlocks + i] - whole);
            if (h == 0 || key > keys[i]) keys[i] = key;
        }
    }
    // The k-th highest, 11 bits at a time from the top: what is known of it, and how many are above.
    u32 known = 0, mask = 0;
    int left = k;
    for (int shift = 21; shift >= -1; shift -= 11) {
        const int low = shift < 0 ? 0 : shift, width = shift < 0 ? 10 : 11;
        for (int i = threadIdx.x; i < 2048; i += kSelectThreads) bins[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < m; i += kSelectThreads)
            if ((keys[i] & mask) == known) add_shared(bins[keys[i] >> low & ((1 << width) - 1)], 1);
        __syncthreads();
        if (threadIdx.x < kWarp) {
            // From the highest bin down, 64 bins a lane.
            const int each = (1 << width) / kWarp, top = (1 << width) - 1 - (int)threadIdx.x * each;
            int mine = 0;
            for (int i = 0; i < each; i++) mine += bins[top - i];
            int before = 0;
            for (int lane = 0; lane < kWarp; lane++) {
                const int other = (int)shuffle((u32)mine, lane);
                if (lane < (int)threadIdx.x) before += other;
            }
            if (before < left && before + mine >= left)
                for (int i = 0, sum = before;; i++) {
                    if (sum + bins[top - i] >= left) { bound = top - i, above = sum; break; }
                    sum += bins[top - i];
                }
        }
        __syncthreads();
        known |= (u32)bound << low;
        mask |= (u32)((1 << width) - 1) << low;
        left -= above;
        __syncthreads();
    }
    // All that are higher, and of the equals the last `left`, from the end on.
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < m; i += kSelectThreads)
        if (keys[i] > known) picks[add_shared(found, 1)] = i;
    __syncthreads();
    if (threadIdx.x < kWarp)
        for (int end = m; left > 0 && end > 0; end -= kWarp) {
            const int i = end - 1 - (int)threadIdx.x;
            const bool equal = i >= 0 && keys[i] == known;
            int before = 0, all = 0;
            for (int lane = 0; lane < kWarp; lane++) {
                const int other = (int)shuffle((u32)equal, lane);
                if (lane < (int)threadIdx.x) before += other;
                all += other;
            }
            if (equal && before < left) picks[k - left + before] = i;
            left -= smaller(all, left);
        }
    __syncthreads();
    for (int i = threadIdx.x; i < k; i += kSelectThreads) {
        int rank = 0;
        for (int j = 0; j < k; j++) rank += picks[j] < picks[i];
        to[rank] = picks[i];
    }
}

// ---- Reading: grid (topK + window blocks, G, sequences) ------------------------------------------------------------------

// parts [sequences, H, gridDim.x, D] and logits [sequences, H, gridDim.x] are room; arrived [sequences, G] starts and ends as 0.
// out [sequences, H, D]; gates [sequences, H, topK]: P of the chosen.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_read(
    const Sequence* sequences, const T* queries, const float* angles, const int* chosen, float* parts, float* logits,
    u32* arrived, T* out, float* gates, int blockLength, const __grid_constant__ Sizes z)
{
    __shared__ float form[R][D];
    __shared__ float weights[R][256];
    __shared__ float logit[R];
    __shared__ bool last;
    const int slot = blockIdx.x, group = blockIdx.y, heads = z.groups * R, warp = threadIdx.x / kWarp;
    const Sequence s = sequences[blockIdx.z];
    const int k = taken(s, z), old = s.inMemory - k, own = s.position / blockLength, count = k + own + 1;
    const long long firstHead = (long long)blockIdx.z * heads + group * R;
    const T* query = queries + firstHead * D;
    if (slot >= count) return;

    // Heads of a group that choose each for themselves read each their own block.
    const bool shared = z.chosenHeads >= R || slot >= k;
    for (int r = 0; r < R; r += shared ? R : 1) {
        const int choice = (group * R + r) / z.chosenHeads;
        const int block = slot < k ? chosen[((long long)blockIdx.z * (heads / z.chosenHeads) + choice) * z.topK + slot] : s.inMemory + slot - k;
        const bool isOwn = slot == count - 1;
        const int tokens = isOwn ? smaller(s.position % blockLength + 1, z.tokens) : z.tokens;
        const int distance = slot < k ? s.position + (k + 1 - (block >= old ? slot + 1 : slot)) * blockLength : s.position - (slot - k) * blockLength;
        const T* keys = s.blocks + ((long long)block * z.groups + group) * 2 * z.tokens * D;
        const T* values = keys + (long long)z.tokens * D;
        const int from = shared ? 0 : r, to = shared ? R : r + 1;
        __syncthreads();
        turn(form, query, angles, distance, z.scale);
        __syncthreads();
        {
            const Form mine(form);
            const int first = warp * kRows + threadIdx.x % kWarp / kRowLanes, lead = threadIdx.x % kRowLanes;
            for (int row = first; row - first < tokens; row += kWarps * kRows) {
                float score[R];
                mine.dot(keys + (long long)row * D, row < tokens, score);
#pragma unroll
                for (int q = 0; q < R; q++)
                    if (lead == 0 && row < tokens) weights[q][row] = score[q];
            }
            if (!isOwn && warp == 0) {
                float score[R];
                mine.dot(s.landmarks + (group * s.capacity + block) * D, true, score);
#pragma unroll
                for (int q = 0; q < R; q++)
                    if (threadIdx.x == 0) logit[q] = score[q];
            }
        }
        __syncthreads();
        for (int q = from + warp; q < to; q += kWarps) {
            float most = -infinity(), sum = 0;
            for (int j = threadIdx.x % kWarp; j < tokens; j += kWarp) most = larger(most, weights[q][j]);
            most = warp_max(most);
            for (int j = threadIdx.x % kWarp; j < tokens; j += kWarp) sum += weights[q][j] = power_of_2(weights[q][j] - most);
            sum = warp_sum(sum);
            for (int j = threadIdx.x % kWarp; j < tokens; j += kWarp) weights[q][j] /= sum;
            if (threadIdx.x % kWarp == 0) logits[(firstHead + q) * gridDim.x + slot] = isOwn ? most + log_2(sum) : logit[q];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < (to - from) * D; i += kThreads) {
            const int q = from + i / D, c = i % D;
            float sum = 0;
            for (int j = 0; j < tokens; j++) sum += weights[q][j] * to_float(values[j * D + c]);
            parts[((firstHead + q) * gridDim.x + slot) * D + c] = sum;
        }
    }
    // Whoever is last for its group adds up.
    device_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomic_increment(arrived + blockIdx.z * z.groups + group) == (u32)count - 1;
        if (last) arrived[blockIdx.z * z.groups + group] = 0;
    }
    __syncthreads();
    if (!last) return;
    device_fence();
    for (int q = warp; q < R; q += kWarps) {
        const float* at = logits + (firstHead + q) * gridDim.x;
        float most = -infinity(), sum = 0;
        for (int i = threadIdx.x % kWarp; i < count; i += kWarp) most = larger(most, at[i]);
        most = warp_max(most);
        for (int i = threadIdx.x % kWarp; i < count; i += kWarp) sum += power_of_2(at[i] - most);
        sum = warp_sum(sum);
        for (int i = threadIdx.x % kWarp; i < k; i += kWarp) gates[(firstHead + q) * z.topK + i] = power_of_2(at[i] - most) / sum;
        for (int c = threadIdx.x % kWarp; c < D; c += kWarp) {
            float x = 0;
            for (int i = 0; i < count; i++) x += power_of_2(at[i] - most) / sum * parts[((firstHead + q) * gridDim.x + i) * D + c];
            from_float(x, out[(firstHead + q) * D + c]);
        }
    }
}
