// What warpgroup kernels stand on: boxes copied by the engine, products of every size. TYPE is bf16 or f16.
// check: TYPE=bf16 RANK=2
// check: TYPE=f16 RANK=3
// check: TYPE=f16 RANK=4
#include "wgmma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL


// Where swizzled tiles may start.
DEVICE u32 tiles() { return dynamic_shared(); }

DEVICE u16 shared_number(u32 address) {
    u16 x;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(x) : "r"(address) : "memory");
    return x;
}

// Copies one box of 512 numbers out of a tensor of RANK dimensions.
extern "C" __global__ void box(u16* out, const __grid_constant__ TensorMap map, int x, int y, int z, int w) {
    __shared__ __align__(8) u64 barrier;
    const u32 full = shared_address(&barrier);
    if (threadIdx.x == 0) {
        barrier_init(full, 1);
        barrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        barrier_arrive_expect(full, 1024);
        if constexpr (RANK == 2) load_box(tiles(), map, full, x, y);
        if constexpr (RANK == 3) load_box(tiles(), map, full, x, y, z);
        if constexpr (RANK == 4) load_box(tiles(), map, full, x, y, z, w);
    }
    barrier_wait(full, 0);
    for (int i = threadIdx.x; i < 512; i += blockDim.x) out[i] = shared_number(tiles() + i * 2);
}

// D [64, N] = A [64, 64] B, twice: with both in shared memory, B as [N, 64]; and with A in registers, B as [64, N]. One
// warpgroup copies, the other multiplies. flag gets what the one left in shared memory for the other.
template <int N>
DEVICE void product(float* d, float* e, int* flag, const u16* a, const TensorMap& maps_a, const TensorMap& maps_b, const TensorMap& maps_t) {
    constexpr int groups = (N + 63) / 64, bytes = 8192 + N * 128 + groups * 8192;
    __shared__ __align__(8) u64 barrier;
    __shared__ int message;
    const u32 full = shared_address(&barrier), at = tiles(), bt = at + 8192, tt = bt + (N * 128 + 1023) / 1024 * 1024;
    if (threadIdx.x == 0) {
        barrier_init(full, 1);
        barrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x >= 128) {
        registers_lower<40>();
        if (threadIdx.x == 128) {
            barrier_arrive_expect(full, bytes);
            load_box(at, maps_a, full, 0, 0);
            load_box(bt, maps_b, full, 0, 0);
            for (int g = 0; g < groups; g++) load_box(tt + g * 8192, maps_t, full, g * 64, 0);
            message = N;
        }
        named_arrive(1, 256);
    } else {
        registers_raise<232>();
        barrier_wait(full, 0);
        named_sync(1, 256);
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, p = lane % 4 * 2, row = warp * 16 + g;
        auto store = [&](float* to, const float (&sums)[N / 2]) {
#pragma unroll
            for (int i = 0; i < N / 2; i++) to[(row + i / 2 % 2 * 8) * N + i / 4 * 8 + p + i % 2] = sums[i];
        };
        float sums[N / 2] = {};
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) wgmma<TYPE, N>(sums, matrix_at<128>(at + k * 32), matrix_at<128>(bt + k * 32), k > 0);
        wgmma_commit();
        wgmma_wait<0>();
        wgmma_keep(sums);
        store(d, sums);

        u32 x[4][4];
#pragma unroll
        for (int k = 0; k < 4; k++)
#pragma unroll
            for (int i = 0; i < 4; i++) x[k][i] = *(const u32*)(a + (row + i % 2 * 8) * 64 + k * 16 + i / 2 * 8 + p);
        wgmma_keep(sums);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) wgmma<TYPE, N, 1>(sums, x[k], matrix_at<128>(tt + k * 2048, 8192, 1024), k > 0);
        wgmma_commit();
        wgmma_wait<0>();
        wgmma_keep(sums);
        store(e, sums);
        if (threadIdx.x == 0) *flag = message;
    }
}

#define PRODUCT(N)                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256, 1) product_##N(                                                      \
        float* d, float* e, int* flag, const u16* a, const __grid_constant__ TensorMap maps_a,                             \
        const __grid_constant__ TensorMap maps_b, const __grid_constant__ TensorMap maps_t) {                              \
        product<N>(d, e, flag, a, maps_a, maps_b, maps_t);                                                                 \
    }
PRODUCT(8) PRODUCT(16) PRODUCT(24) PRODUCT(32) PRODUCT(40) PRODUCT(48) PRODUCT(56) PRODUCT(64)
PRODUCT(72) PRODUCT(80) PRODUCT(88) PRODUCT(96) PRODUCT(104) PRODUCT(112) PRODUCT(120) PRODUCT(128)
PRODUCT(136) PRODUCT(144) PRODUCT(152) PRODUCT(160) PRODUCT(168) PRODUCT(176) PRODUCT(184) PRODUCT(192)
PRODUCT(200) PRODUCT(208) PRODUCT(216) PRODUCT(224) PRODUCT(232) PRODUCT(240) PRODUCT(248) PRODUCT(256)

#endif
