// C [16, 16] = A [16, 16] B [16, 16] by one warp, through shared memory: copies, matrix loads, both products. Of the last 8
// elements of A only the first `bytes` bytes are copied; the rest must count as 0.
#include "common.cuh"

template <typename T> DEVICE void product(float* c, const T* a, const T* b, int bytes) {
    __shared__ __align__(16) T tile[2][16 * 16];
    const int lane = threadIdx.x, row = lane / 2, column = lane % 2 * 8;
    const u32 at = shared_address(&tile[0][0]), bt = shared_address(&tile[1][0]);
    copy_async(at + (row * 16 + column) * 2, a + row * 16 + column, lane == 31 ? bytes : 16);
    copy_commit();
    copy_async(bt + (row * 16 + column) * 2, b + row * 16 + column);
    copy_commit();
    copy_wait<1>();
    copy_wait<0>();
    __syncthreads();

    // Both are stored by rows: A's matrices are loaded as they lie, B's transposed.
    const int r = lane % 8 + lane / 8 % 2 * 8, k = lane / 16 * 8;
    u32 x[4], y[4];
    load_matrices(x, at + (r * 16 + k) * 2);
    load_matrices_transposed(y, bt + (r * 16 + k) * 2);
    const int g = lane / 4, p = lane % 4 * 2;
    for (int half = 0; half < 2; half++) {
        float sums[4] = {};
        mma<T>(sums, x, y[half * 2], y[half * 2 + 1]);
        for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 16 + half * 8 + p + i % 2] = sums[i];
    }
}

extern "C" __global__ void product_bf16(float* c, const bf16* a, const bf16* b, int bytes) { product(c, a, b, bytes); }
extern "C" __global__ void product_f16(float* c, const f16* a, const f16* b, int bytes) { product(c, a, b, bytes); }

// y [8, 32]: what each function makes of lane l's number x[l].
extern "C" __global__ void functions(float* y, const float* x) {
    const int lane = threadIdx.x;
    const float value = x[lane];
    const u32 b = pack<bf16>(value, -value), h = pack<f16>(value, -value);
    y[0 * 32 + lane] = warp_sum(value);
    y[1 * 32 + lane] = warp_max<4>(value);
    y[2 * 32 + lane] = power_of_2(value);
    y[3 * 32 + lane] = log_2(larger(value, -value));
    y[4 * 32 + lane] = to_float(bf16{(u16)b}) - to_float(bf16{(u16)(b >> 16)});
    y[5 * 32 + lane] = to_float(f16{(u16)h}) - to_float(f16{(u16)(h >> 16)});
    y[6 * 32 + lane] = (float)shuffle((u32)lane * 2, 31 - lane);
    bf16 narrow;
    from_float(value, narrow);
    y[7 * 32 + lane] = to_float(narrow);
}
