// Dropout: an element is 0 if its random number, which follows from the seed and its place, is below a threshold, and worth more if not.
// TYPE is the elements' type; PACK, which divides their number, is how many of them a thread reads at once, 16 bytes at most.
// check: TYPE=bf16 PACK=8
// check: TYPE=f16 PACK=1
// check: TYPE=float PACK=4
#include "common.cuh"
#include "random.cuh"

struct __align__(sizeof(TYPE) * PACK) Pack { TYPE x[PACK]; };

struct Dropout { u32 seed, threshold; float kept; u32 packs; };

extern "C" __global__ void landmark_dropout(Pack *__restrict__ out, const Pack *__restrict__ in, const __grid_constant__ Dropout dropout)
{
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= dropout.packs) return;
    const Pack x = in[thread];
    const u32 seed = mixed(dropout.seed);
    Pack y;
#pragma unroll
    for (int k = 0; k < PACK; k++) {
        const bool dropped = mixed(seed + (thread * PACK + k) * 0x9e3779b9u) < dropout.threshold;
        from_float(dropped ? 0 : to_float(x.x[k]) * dropout.kept, y.x[k]);
    }
    out[thread] = y;
}
