// Prefill with retrieval, between its halves: from "a query reads blocks" to "a block is read by queries".
//
// The order inside a list is the order in which threads came. No result depends on it: a pair's row is its own.
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64
#include "prefill.cuh"

constexpr int kSumThreads = 1024;

constexpr int kSpan = 16384;                                // pairs of a head that a thread block takes
constexpr int kCounters = 8192;                             // blocks that are counted at a time: the memory of half a million positions

// Calls for each of the thread block's pairs whose block is one of those from `first` on: each(pair, block - first). A query that
// reads fewer blocks than were chosen has as many pairs.
template <class Each> DEVICE void each_pair(int first, const int* chosen, const int* reads, const Sizes& z, const Pairs& p, Each each) {
    const int head = blockIdx.y, pairs = z.queries * z.topK, end = smaller(((int)blockIdx.x + 1) * kSpan, pairs);
    chosen += (long long)((p.firstHead + head) / z.chosenHeads) * z.choices * z.topK;
    for (int at = blockIdx.x * kSpan + threadIdx.x; at < end; at += kSumThreads) {
        const int block = chosen[z.perWindow ? window_of(at / z.topK, z) * z.topK + at % z.topK : at] - first;
        if (block < 0 || block >= kCounters) continue;
        if (reads && at % z.topK >= reads[(long long)(p.firstHead + head) * z.queries + at / z.topK]) continue;
        each(head * pairs + at, block);
    }
}

// counted [kCounters]: how many there are of each block.
DEVICE void count_pairs(int* counted, int first, const int* chosen, const int* reads, const Sizes& z, const Pairs& p) {
    __syncthreads();
    for (int i = threadIdx.x; i < kCounters; i += kSumThreads) counted[i] = 0;
    __syncthreads();
    each_pair(first, chosen, reads, z, p, [&](int, int block) { add_shared(counted[block], 1); });
    __syncthreads();
}

// counts [lists] begin as 0. Grid (spans of pairs, heads at hand); likewise the last kernel here. Counting goes on in shared memory,
// for thousands of queries may choose one block.
extern "C" __global__ void __launch_bounds__(kSumThreads) landmark_prefill_count(
    const int* chosen, const int* reads, u32* counts, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    __shared__ int counted[kCounters];
    counts += blockIdx.y / (z.heads / z.groups) * p.mostBlocks;
    for (int first = 0; first < p.mostBlocks; first += kCounters) {
        count_pairs(counted, first, chosen, reads, z, p);
        for (int i = threadIdx.x; i < smaller(kCounters, p.mostBlocks - first); i += kSumThreads)
            if (counted[i] > 0) atomic_add(counts + first + i, counted[i]);
    }
}

// starts [lists + 1] and tileStarts [lists + 1]: sums of what comes before; cursors [lists]: starts. One thread block.
extern "C" __global__ void __launch_bounds__(kSumThreads) landmark_prefill_sum(
    const u32* counts, u32* starts, u32* cursors, u32* tileStarts, const __grid_constant__ Pairs p)
{
    __shared__ u32 pairs[kSumThreads], tiles[kSumThreads];
    const int each = (p.lists + kSumThreads - 1) / kSumThreads, from = threadIdx.x * each, end = smaller(from + each, p.lists);
    u32 mine = 0, mineTiles = 0;
    for (int i = from; i < end; i++) mine += counts[i], mineTiles += (counts[i] + kTilePairs - 1) / kTilePairs;
    pairs[threadIdx.x] = mine, tiles[threadIdx.x] = mineTiles;
    __syncthreads();
    for (int step = 1; step < kSumThreads; step *= 2) {
        const bool add = threadIdx.x >= (u32)step;
        const u32 before = add ? pairs[threadIdx.x - step] : 0, beforeTiles = add ? tiles[threadIdx.x - step] : 0;
        __syncthreads();
        pairs[threadIdx.x] += before, tiles[threadIdx.x] += beforeTiles;
        __syncthreads();
    }
    u32 sum = pairs[threadIdx.x] - mine, sumTiles = tiles[threadIdx.x] - mineTiles;
    for (int i = from; i < end; i++) {
        starts[i] = cursors[i] = sum, tileStarts[i] = sumTiles;
        sum += counts[i], sumTiles += (counts[i] + kTilePairs - 1) / kTilePairs;
    }
    if (threadIdx.x == kSumThreads - 1) starts[p.lists] = pairs[threadIdx.x], tileStarts[p.lists] = tiles[threadIdx.x];
}

// tiles [at most pairs / kTilePairs + lists]. Warps: lists.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_tiles(
    const u32* starts, const u32* tileStarts, ListTile* tiles, const __grid_constant__ Pairs p)
{
    const int list = blockIdx.x * kWarps + warp_index();
    if (list >= p.lists) return;
    const int start = starts[list], end = starts[list + 1];
    for (int first = start + lane_index() * kTilePairs; first < end; first += kWarp * kTilePairs)
        tiles[tileStarts[list] + (first - start) / kTilePairs] = { list, first, smaller(kTilePairs, end - first) };
}

// entries [pairs]: the lists, one after the other; cursors end where lists do.
extern "C" __global__ void __launch_bounds__(kSumThreads) landmark_prefill_fill(
    const int* chosen, const int* reads, u32* cursors, int* entries, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    __shared__ int next[kCounters];
    cursors += blockIdx.y / (z.heads / z.groups) * p.mostBlocks;
    for (int first = 0; first < p.mostBlocks; first += kCounters) {
        count_pairs(next, first, chosen, reads, z, p);
        for (int i = threadIdx.x; i < smaller(kCounters, p.mostBlocks - first); i += kSumThreads)
            if (next[i] > 0) next[i] = atomic_add(cursors + first + i, next[i]);
        __syncthreads();
        each_pair(first, chosen, reads, z, p, [&](int pair, int block) { entries[add_shared(next[block], 1)] = pair; });
    }
}
