// Cross-entropy of rows of logits, and its gradient in their place, in two passes over a row, the second of which finds it in the L2:
//     cross = log(sum of exp(x_j)) - x_target        x_j := exp(x_j) / sum - [j = target]
// A thread block a row. Statistics are float32; a target below 0 is none: its cross-entropy is 0, and its gradient is not used.
// TYPE is the logits' type; PACK, which divides the columns, is how many are read at once, 16 bytes at most.
// check: TYPE=bf16 PACK=8
// check: TYPE=f16 PACK=1
// check: TYPE=float PACK=4
#include "common.cuh"

constexpr int kThreads = 512, kWarps = kThreads / kWarp;

struct __align__(sizeof(TYPE) * PACK) Pack { TYPE x[PACK]; };

DEVICE float exponential(float x) { return power_of_2(x * kLog2E); }

// The whole block's, of each thread's.
template <typename Combine> DEVICE float of_block(float x, float* room, Combine combine) {
    if (lane_index() == 0) room[threadIdx.x / kWarp] = x;
    __syncthreads();
    x = room[0];
    for (int w = 1; w < kWarps; w++) x = combine(x, room[w]);
    __syncthreads();
    return x;
}

extern "C" __global__ void landmark_cross_entropy(
    TYPE *__restrict__ logits, const long long *__restrict__ targets, float *__restrict__ cross, int columns)
{
    __shared__ float room[kWarps];
    Pack* row = (Pack*)(logits + (long long)blockIdx.x * columns);
    const long long target = targets[blockIdx.x];
    const int packs = columns / PACK;

    float most = -infinity(), sum = 0;      // the sum is relative to it
    for (int p = threadIdx.x; p < packs; p += kThreads) {
        const Pack x = row[p];
        float larger_one = most;
#pragma unroll
        for (int k = 0; k < PACK; k++) larger_one = larger(larger_one, to_float(x.x[k]));
        // Logits of -infinity alone: nothing to add yet.
        if (larger_one == -infinity()) continue;
        sum *= exponential(most - larger_one);
        most = larger_one;
#pragma unroll
        for (int k = 0; k < PACK; k++) sum += exponential(to_float(x.x[k]) - most);
    }
    const float top = of_block(warp_max(most), room, [](float a, float b) { return larger(a, b); });
    sum = of_block(warp_sum(most == -infinity() ? 0.f : sum * exponential(most - top)), room, [](float a, float b) { return a + b; });
    // Kept apart from the maximum: together they would be rounded as the maximum is.
    const float log = log_2(sum) * kLn2;

    if (threadIdx.x == 0) cross[blockIdx.x] = target < 0 ? 0.f : top - to_float(logits[(long long)blockIdx.x * columns + target]) + log;
    __syncthreads();                        // the target's logit has been read
    for (int p = threadIdx.x; p < packs; p += kThreads) {
        Pack x = row[p];
#pragma unroll
        for (int k = 0; k < PACK; k++) {
            const float share = exponential(to_float(x.x[k]) - top - log);
            from_float(p * (long long)PACK + k == target ? share - 1 : share, x.x[k]);
        }
        row[p] = x;
    }
}
