// Prefill with retrieval, between its halves: from "a query reads blocks" to "a block is read by queries".
//
// The order inside a list is the order in which threads came. No result depends on it: a pair's row is its own.
// check: ELEMENT=bf16 HEAD_DIM=128 BLOCK=64
#include "prefill.cuh"

constexpr int kSumThreads = 1024;

// A pair's list; -1 for none.
DEVICE int list_of(int pair, const int* chosen, const Sizes& z, const Pairs& p) {
    const int rank = pair % z.topK, query = pair / z.topK % z.queries, head = pair / z.topK / z.queries;
    const int block = chosen[choice_of(p.firstHead + head, query, z) + rank];
    return block < 0 ? -1 : head / (z.heads / z.groups) * p.mostBlocks + block;
}

// counts [lists] begin as 0. Threads: pairs.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_count(
    const int* chosen, u32* counts, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    const int pair = blockIdx.x * kThreads + threadIdx.x;
    const int list = pair < p.count ? list_of(pair, chosen, z, p) : -1;
    if (list >= 0) atomic_increment(counts + list);
}

// starts [lists + 1] and tileStarts [lists + 1]: sums of what comes before; cursors [lists]: starts. One thread block.
extern "C" __global__ void __launch_bounds__(kSumThreads) landmark_prefill_sum(
    const u32* counts, u32* starts, u32* cursors, u32* tileStarts, const __grid_constant__ Pairs p)
{
    __shared__ u32 pairs[kSumThreads], tiles[kSumThreads];
    const int each = (p.lists + kSumThreads - 1) / kSumThreads, from = threadIdx.x * each, end = smaller(from + each, p.lists);
    u32 mine = 0, mineTiles = 0;
    for (int i = from; i < end; i++) mine += counts[i], mineTiles += (counts[i] + kRows - 1) / kRows;
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
        sum += counts[i], sumTiles += (counts[i] + kRows - 1) / kRows;
    }
    if (threadIdx.x == kSumThreads - 1) starts[p.lists] = pairs[threadIdx.x], tileStarts[p.lists] = tiles[threadIdx.x];
}

// tiles [at most pairs / 64 + lists]. Warps: lists.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_tiles(
    const u32* starts, const u32* tileStarts, ListTile* tiles, const __grid_constant__ Pairs p)
{
    const int list = blockIdx.x * kWarps + warp_index();
    if (list >= p.lists) return;
    const int start = starts[list], end = starts[list + 1];
    for (int first = start + lane_index() * kRows; first < end; first += kWarp * kRows)
        tiles[tileStarts[list] + (first - start) / kRows] = { list, first, smaller(kRows, end - first) };
}

// entries [pairs]: the lists, one after the other; cursors end where lists do. Threads: pairs.
extern "C" __global__ void __launch_bounds__(kThreads) landmark_prefill_fill(
    const int* chosen, u32* cursors, int* entries, const __grid_constant__ Sizes z, const __grid_constant__ Pairs p)
{
    const int pair = blockIdx.x * kThreads + threadIdx.x;
    const int list = pair < p.count ? list_of(pair, chosen, z, p) : -1;
    if (list >= 0) entries[atomic_increment(cursors + list)] = pair;
}
