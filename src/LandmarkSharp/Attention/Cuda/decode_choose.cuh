// The choice of blocks, the second of the decode kernels' launches: grid (H / chosenHeads, sequences).
#ifndef LANDMARK_DECODE_CHOOSE
#define LANDMARK_DECODE_CHOOSE
#include "decode_miss.cuh"
#include "mass.cuh"

constexpr int kChooseThreads = 1024, kChooseWarps = kChooseThreads / kWarp, kBins = 2 * kChooseThreads;

// A number whose order as an unsigned integer is the float's.
DEVICE u32 ordered(float x) { const u32 bits = as_bits(x); return bits >> 31 ? ~bits : bits | 0x80000000u; }
// Of the lanes up to this one.
DEVICE int running_sum(int x) {
#pragma unroll
    for (int lanes = 1; lanes < kWarp; lanes *= 2) {
        const int before = (int)shuffle((u32)x, lane_index() - lanes);
        if (lane_index() >= lanes) x += before;
    }
    return x;
}

// A head's highest score, and the sum of 2^(score - highest).
struct Total { float highest, sum; };

// room [sequences, H / chosenHeads, mostBlocks] for keys where shared memory has none; chosen [sequences, H, topK], ascending,
// -1 beyond the blocks there are, or that are enough, and for a head that retrieves nothing. Such have no part in a choice.
extern "C" __global__ void __launch_bounds__(kChooseThreads) landmark_choose(
    const __grid_constant__ Sequences sequences, const float* scores, const float* totals, const float* mass, u32* room,
    long long* chosen, const __grid_constant__ Sizes z)
{
    __shared__ int bins[kBins], warpSums[kChooseWarps], picks[kMostChosen], order[kMostChosen];
    __shared__ u32 warpLow[kChooseWarps], warpHigh[kChooseWarps];
    __shared__ float whole[kChooseWarps];
    __shared__ int found, above, bound, within;
    wait_previous();
    start_next();
    const Sequence s = sequences.at[blockIdx.y];
    const int k = taken(s, z), m = s.inMemory, warp = threadIdx.x / kWarp, lane = lane_index();
    const long long firstHead = (long long)blockIdx.y * z.heads + blockIdx.x * z.chosenHeads;
    const bool ends = z.enough < 1;
    auto tell = [&](int count) {
        __syncthreads();
        for (int i = threadIdx.x; i < z.chosenHeads * z.topK; i += kChooseThreads)
            chosen[firstHead * z.topK + i] = i % z.topK < count && retrieves(mass, firstHead + i / z.topK, z) ? order[i % z.topK] : -1;
    };
    bool any = false;
    for (int head = lane; head < z.chosenHeads; head += kWarp) any |= retrieves(mass, firstHead + head, z);
    if (!any_lane(any) || k == 0 || (k == m && !ends)) {
        for (int i = threadIdx.x; i < k; i += kChooseThreads) order[i] = i;
        return tell(k);
    }
    // By a warp, every lane gets it.
    auto total_of = [&](int head) {
        Total all { -infinity(), 0 };
        const float* total = totals + (firstHead + head) * z.parts * 2;
        for (int i = lane; i < z.parts; i += kWarp) {
            const float most = larger(all.highest, total[2 * i]);
            all.sum = scaled(all.sum, all.highest - most) + scaled(total[2 * i + 1], total[2 * i] - most);
            all.highest = most;
        }
        const float most = warp_max(all.highest);
        return Total { most, warp_sum(scaled(all.sum, all.highest - most)) };
    };

    // Keys: the highest of the sharing heads' logarithms of softmax, as integers. A head's softmax keeps its order: alone it
    // needs none. NaN counts as -infinity.
    u32* keys = z.sharedKeys ? (u32*)shared_room() : room + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * z.mostBlocks;
    u32 low = 0xffffffffu, high = 0;
    for (int first = 0; first < z.chosenHeads; first += kChooseWarps) {
        const int heads = smaller(kChooseWarps, z.chosenHeads - first);
        if (warp < heads) {
            const Total all = total_of(first + warp);
            const bool alone = z.chosenHeads == 1;
            if (lane == 0) whole[warp] = !retrieves(mass, firstHead + first + warp, z) ? infinity() : alone ? 0 : all.highest + log_2(all.sum);
        }
        __syncthreads();
        const float* rows = scores + (firstHead + first) * z.mostBlocks;
        for (int i = threadIdx.x * 4; i < m; i += kChooseThreads * 4) {
            float best[4];
#pragma unroll
            for (int j = 0; j < 4; j++) best[j] = -infinity();
            for (int h = 0; h < heads; h += 4) {
                Piece four[4];                                              // the last head again makes no difference
#pragma unroll
                for (int a = 0; a < 4; a++) four[a] = *(const Piece*)(rows + (long long)smaller(h + a, heads - 1) * z.mostBlocks + i);
#pragma unroll
                for (int a = 0; a < 4; a++)
#pragma unroll
                    for (int j = 0; j < 4; j++) best[j] = larger(best[j], as_float(four[a].words[j]) - whole[smaller(h + a, heads - 1)]);
            }
            Piece four = first > 0 ? *(Piece*)(keys + i) : Piece {};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                four.words[j] = larger(four.words[j], ordered(best[j]));
                if (i + j < m) low = smaller(low, four.words[j]), high = larger(high, four.words[j]);
            }
            *(Piece*)(keys + i) = four;
        }
        __syncthreads();
        if (first + kChooseWarps < z.chosenHeads) low = 0xffffffffu, high = 0;      // not yet the keys
    }
    low = warp_min(low), high = warp_max(high);
    if (lane == 0) warpLow[warp] = low, warpHigh[warp] = high;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    low = warp_min(warpLow[lane]), high = warp_max(warpHigh[lane]);

    // The k-th highest key lies from low to high; of the `inside` keys there the `left` highest are chosen, and all above.
    // A round cuts the range into 2,048 at most and keeps the one that the k-th is in.
    int left = k, inside = m;
    while (low < high && left < inside) {
        const u32 span = high - low;
        const int bits = 32 - leading_zeros(span), shift = bits > 11 ? bits - 11 : 0;
        bins[threadIdx.x] = bins[threadIdx.x + kChooseThreads] = 0;
        __syncthreads();
        for (int base = warp * kWarp; base < m; base += kChooseThreads) {
            const u32 key = base + lane < m ? keys[base + lane] - low : 0xffffffffu;
            const bool in = base + lane < m && key <= span;
            const u32 all = ballot(in);
            if (all == 0) continue;
            // Equal keys are common, all of a warp in one bin: one adds for them.
            const int one = ones((all & (0 - all)) - 1);
            const u32 bin = key >> shift, same = shuffle(bin, one);
            if (!any_lane(in && bin != same)) {
                if (lane == one) add_shared(bins[bin], ones(all));
            } else if (in) {
                add_shared(bins[bin], 1);
            }
        }
        __syncthreads();
        // From the highest bin down, two a thread.
        const int top = kBins - 1 - 2 * (int)threadIdx.x, first = bins[top], both = first + bins[top - 1], sum = running_sum(both);
        if (lane == kWarp - 1) warpSums[warp] = sum;
        __syncthreads();
        const int warps = running_sum(warpSums[lane]), others = (int)shuffle((u32)warps, warp - 1);
        const int before = (warp == 0 ? 0 : others) + sum - both;
        if (before < left && left <= before + both) {
            const bool upper = left <= before + first;
            bound = upper ? top : top - 1, above = upper ? before : before + first, within = upper ? first : both - first;
        }
        __syncthreads();
        low += (u32)bound << shift;
        high = smaller(high, low + ((1u << shift) - 1));
        left -= above, inside = within;
    }
    const bool whole_range = left == inside;
    const u32 least = whole_range ? low : high + 1;
    for (int i = threadIdx.x; i < m; i += kChooseThreads)
        if (keys[i] >= least) picks[add_shared(found, 1)] = i;
    if (!whole_range) {
        // Of the equals the last `left`: every warp counts in a stretch, then knows how many are behind it.
        const int stretch = (m + kChooseThreads - 1) / kChooseThreads * kWarp, start = warp * stretch, stop = smaller(start + stretch, m);
        int mine = 0;
        for (int base = start; base < stop; base += kWarp) mine += ones(ballot(base + lane < stop && keys[base + lane] == low));
        if (lane == 0) warpSums[warp] = mine;
        __syncthreads();
        int behind = (int)warp_sum((u32)(lane > warp ? warpSums[lane] : 0));
        for (int base = start + stretch - kWarp; base >= start && behind < left; base -= kWarp) {
            const bool equal = base + lane < stop && keys[base + lane] == low;
            const u32 all = ballot(equal);
            const int later = behind + ones(all >> lane >> 1);
            if (equal && later < left) picks[k - left + later] = base + lane;
            behind += ones(all);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < k; i += kChooseThreads) {
        int rank = 0;
        for (int j = 0; j < k; j++) rank += picks[j] < picks[i];
        order[rank] = picks[i];
    }
    if (!ends) return tell(k);

    // As many as the one of the heads needs that needs most, the highest first and of equals the later.
    __syncthreads();
    for (int i = threadIdx.x; i < k; i += kChooseThreads) {
        const u32 key = keys[order[i]];
        int rank = 0;
        for (int j = 0; j < k; j++) {
            const u32 other = keys[order[j]];
            rank += other > key || (other == key && j > i);
        }
        picks[rank] = order[i];
    }
    __syncthreads();
    u32 most = 1;
    for (int head = warp; head < z.chosenHeads; head += kChooseWarps) {
        const Total all = total_of(head);
        const float* row = scores + (firstHead + head) * z.mostBlocks;
        most = larger(most, (u32)needed(k, z.enough, [&](int rank) { return power_of_2(row[picks[rank]] - all.highest) / all.sum; }));
    }
    if (lane == 0) warpHigh[warp] = most;
    __syncthreads();
    const int count = warp_max(warpHigh[lane]);
    for (int i = threadIdx.x; i < count; i += kChooseThreads) {
        int at = 0;
        for (int j = 0; j < count; j++) at += picks[j] < picks[i];
        order[at] = picks[i];
    }
    tell(count);
}

#endif
