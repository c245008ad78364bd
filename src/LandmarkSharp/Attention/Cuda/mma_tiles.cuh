// Tiles of rows of D 16-bit elements in shared memory, and what a warp multiplies of them, on any card from sm_80 on.
// Compile-time: ELEMENT (bf16 or f16), HEAD_DIM (a multiple of 16).
#ifndef LANDMARK_MMA_TILES
#define LANDMARK_MMA_TILES
#include "common.cuh"

typedef ELEMENT T;

constexpr int D = HEAD_DIM;
constexpr int kPieces = D / 8;                              // 16 bytes each, of a row
constexpr int kRowBytes = 2 * D + 16;                       // an odd number of pieces: 8 rows meet in no bank of shared memory

DEVICE int warp_index() { return threadIdx.x / kWarp; }

// Rows into a tile, in the background and by all threads: row i from element offset(i) of x on, zeros where that is negative.
template <int Rows, int Threads, class Offset> DEVICE void copy_rows(u32 to, const T* x, Offset offset) {
#pragma unroll 4
    for (int step = 0; step < (Rows * kPieces + Threads - 1) / Threads; step++) {
        const int i = step * Threads + threadIdx.x, row = i / kPieces, piece = i % kPieces;
        if (row >= Rows) continue;
        const long long from = offset(row);
        copy_async(to + row * kRowBytes + piece * 16, x + (from < 0 ? 0 : from + piece * 8), from < 0 ? 0 : 16);
    }
}

// Elements 16k to 16k+15 of 16 rows, as a product's left side.
DEVICE void load_rows(u32 (&a)[4], u32 rows, int k) {
    load_matrices(a, rows + lane_index() % 16 * kRowBytes + k * 32 + lane_index() / 16 * 16);
}
// The same elements of rows 16n to 16n+15 as columns of its right side: first b[0], b[1] of 8, then b[2], b[3] of 8 more.
DEVICE void load_columns(u32 (&b)[4], u32 rows, int k, int n) {
    const int i = lane_index();
    load_matrices(b, rows + (16 * n + i % 8 + i / 16 * 8) * kRowBytes + k * 32 + i / 8 % 2 * 16);
}

// S += A Bᵀ over the elements of 16 rows of A and N of B, as scores are.
template <int N> DEVICE void add_scores(float (&s)[N / 8][4], u32 a, u32 b) {
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        u32 x[4], y[4];
        load_rows(x, a, k);
#pragma unroll
        for (int n = 0; n < N / 16; n++) {
            load_columns(y, b, k, n);
            mma<T>(s[2 * n], x, y[0], y[1]);
            mma<T>(s[2 * n + 1], x, y[2], y[3]);
        }
    }
}
template <int N> DEVICE void score(float (&s)[N / 8][4], u32 a, u32 b) {
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) s[n][i] = 0;
    add_scores<N>(s, a, b);
}

// O += P V over N rows of V, as sums of values are: W columns of it from address v on, of which `width` count. left(a, k) has
// columns 16k to 16k+15 of the warp's rows of P.
template <int N, int W, class Left> DEVICE void add_rows(float (&o)[W / 8][4], u32 v, Left left, int width = W) {
    const u32 from = v + lane_index() % 16 * kRowBytes + lane_index() / 16 * 16;
#pragma unroll
    for (int k = 0; k < N / 16; k++) {
        u32 a[4], b[4];
        left(a, k);
#pragma unroll
        for (int n = 0; n < W / 16; n++) {
            if (16 * n >= width) continue;
            load_matrices_transposed(b, from + 16 * k * kRowBytes + n * 32);
            mma<T>(o[2 * n], a, b[0], b[1]);
            mma<T>(o[2 * n + 1], a, b[2], b[3]);
        }
    }
}

// Columns 16k to 16k+15 of what a product left in registers, as the next one's left side.
template <int Fragments> DEVICE void left_of(u32 (&a)[4], const float (&p)[Fragments][4], int k) {
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = pack<T>(p[2 * k + i / 2][i % 2 * 2], p[2 * k + i / 2][i % 2 * 2 + 1]);
}
template <int N> DEVICE void add_rows(float (&o)[D / 8][4], u32 v, const float (&p)[N / 8][4]) {
    add_rows<N, D>(o, v, [&](u32 (&a)[4], int k) { left_of(a, p, k); });
}

#endif
