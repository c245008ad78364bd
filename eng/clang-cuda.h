// What NVRTC has built in and clang does not without CUDA's headers: eng/check-kernels.sh puts it before each kernel.
#pragma once
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __grid_constant__   // of clang 20 on
#define __CUDACC__
#include <__clang_cuda_builtin_vars.h>
