// Runs our kernels on a CPU: stands in for src/LandmarkSharp/Attention/Cuda's headers, with the same names. A thread
// block is a set of fibers in one thread that give way to each other where the hardware would wait, so runs are repeatable.
// What is imitated is what the manual says of addresses, fragments, swizzles, barriers and bounds (PTX ISA); what is not is
// time: asynchronous work is done when it is issued, or with LATE, of copies of 16 bytes, when it is waited for; another missing
// wait or fence shows on a GPU alone.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>
#include <ucontext.h>

#define __CUDA_ARCH__ 900
#define __CUDA_ARCH_FEAT_SM90_ALL
#define DEVICE inline
#define __global__
#define __shared__ static
#define __align__(n) alignas(n)
#define __grid_constant__
#define __restrict__
#define __launch_bounds__(...)
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

// ---- Threads -----------------------------------------------------------------------------------------------------------

struct Dim { u32 x, y, z; };
struct Copy { u32 to; const void *from; int bytes; };
struct Fiber { std::vector<std::vector<Copy>> copies; ucontext_t context; std::vector<char> stack; Dim index; bool done = false; };
inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline Fiber *current;
inline Dim blockIdx, gridDim;
inline u64 idle, progress;  // turns in which nothing happened, and times that something did
inline void go_on() { idle = 0, progress++; }
#define threadIdx (current->index)

inline void give_way() {
    if (++idle > 4000000) { fprintf(stderr, "deadlock at thread %u of block %u\n", threadIdx.x, blockIdx.x); exit(3); }
    swapcontext(&current->context, &scheduler);
}

struct Meeting { int arrived = 0; u32 generation = 0; };
inline void arrive(Meeting &m, int count) {
    if (++m.arrived == count) { m.arrived = 0; m.generation++; go_on(); }
}
inline void meet(Meeting &m, int count) {
    const u32 generation = m.generation;
    arrive(m, count);
    while (m.generation == generation) give_way();
}

inline std::vector<Meeting> warps, warpgroups;
inline Meeting block, named[16];
inline std::vector<u32> exchange;
inline std::vector<uint8_t> shared_memory(232448);

inline int add_shared(int &sum, int x) { const int before = sum; sum += x; return before; }
inline void device_fence() {}
inline void __syncthreads() { meet(block, (int)fibers.size()); }
inline void warp_sync() { meet(warps[threadIdx.x / 32], 32); }
inline void warpgroup_sync() { meet(warpgroups[threadIdx.x / 128], 128); }
inline void named_sync(int barrier, int threads) { meet(named[barrier], threads); }
inline void named_arrive(int barrier, int threads) { arrive(named[barrier], threads); }
constexpr int kWarp = 32;
constexpr u32 kAllLanes = 0xffffffff;
inline int lane_index() { return threadIdx.x % 32; }

inline u32 as_bits(float x) { u32 y; memcpy(&y, &x, 4); return y; }
inline float as_float(u32 x) { float y; memcpy(&y, &x, 4); return y; }
inline float shuffle(float x, int lane) {
    exchange[threadIdx.x] = as_bits(x);
    warp_sync();
    const float y = as_float(exchange[threadIdx.x / 32 * 32 + (lane & 31)]);
    warp_sync();
    return y;
}
inline u32 shuffle(u32 x, int lane) { return as_bits(shuffle(as_float(x), lane)); }
inline float shuffle_xor(float x, int mask) { return shuffle(x, lane_index() ^ mask); }
inline float larger(float a, float b) { return fmaxf(a, b); }
inline u32 larger(u32 a, u32 b) { return a < b ? b : a; }
inline int smaller(int a, int b) { return a < b ? a : b; }
inline u32 smaller(u32 a, u32 b) { return a < b ? a : b; }
inline int leading_zeros(u32 x) { return x == 0 ? 32 : __builtin_clz(x); }
inline int ones(u32 x) { return __builtin_popcount(x); }
// What all lanes gave, put together by a function of two.
template <class Both> u32 warp_all(u32 x, Both both) {
    exchange[threadIdx.x] = x;
    warp_sync();
    u32 y = exchange[threadIdx.x / 32 * 32];
    for (int lane = 1; lane < 32; lane++) y = both(y, exchange[threadIdx.x / 32 * 32 + lane]);
    warp_sync();
    return y;
}
inline u32 warp_sum(u32 x) { return warp_all(x, [](u32 a, u32 b) { return a + b; }); }
inline u32 warp_min(u32 x) { return warp_all(x, [](u32 a, u32 b) { return a < b ? a : b; }); }
inline u32 warp_max(u32 x) { return warp_all(x, [](u32 a, u32 b) { return a < b ? b : a; }); }
inline u32 ballot(bool x) { return warp_sum((u32)x << lane_index()); }
inline void start_next() {}
inline void wait_previous() {}
template <int Lanes = 32> float warp_sum(float x) { for (int m = Lanes / 2; m > 0; m /= 2) x += shuffle_xor(x, m); return x; }
template <int Lanes = 32> float warp_max(float x) { for (int m = Lanes / 2; m > 0; m /= 2) x = larger(x, shuffle_xor(x, m)); return x; }
inline bool any_lane(bool x) { return warp_max(x) > 0; }
inline int bits_set(u32 x) { return __builtin_popcount(x); }
inline int highest_bit(u32 x) { return x ? 31 - __builtin_clz(x) : -1; }
template <u32> void registers_raise() {}
template <u32> void registers_lower() {}

// ---- Numbers -----------------------------------------------------------------------------------------------------------

struct bf16 { u16 bits; };
inline float widen(u16 x) { return as_float((u32)x << 16); }
inline u16 narrow(float x) { const u32 y = as_bits(x); return (y + 0x7fff + (y >> 16 & 1)) >> 16; }
inline float to_float(bf16 x) { return widen(x.bits); }
inline float to_float(float x) { return x; }
inline void from_float(float x, bf16 &y) { y.bits = narrow(x); }
inline void from_float(float x, float &y) { y = x; }
template <typename T> u32 pack(float low, float high) { return narrow(low) | (u32)narrow(high) << 16; }
inline float infinity() { return INFINITY; }
inline float power_of_2(float x) { return exp2f(x); }
inline float log_2(float x) { return log2f(x); }
inline float ratio(float x, float y) { return x / y; }
inline float multiply_add(float x, float y, float z) { return fmaf(x, y, z); }

// ---- Memory ------------------------------------------------------------------------------------------------------------

inline u32 dynamic_shared() { return 1024; }
inline u32 shared_address(const void *pointer) { return (const uint8_t *)pointer - shared_memory.data(); }
inline void load_early(const void *from, u32 (&x)[4]) { memcpy(x, from, 16); }
inline void *shared_room() { return shared_memory.data(); }
inline uint8_t *at(u32 address) {
    if (address >= shared_memory.size()) { fprintf(stderr, "shared address %u\n", address); exit(3); }
    return &shared_memory[address];
}
inline void store_shared(u32 to, u32 x) { memcpy(at(to), &x, 4); }
inline void store_shared(u32 to, float x) { memcpy(at(to), &x, 4); }
inline void store_shared(u32 to, float x, float y, float z, float w) { const float v[] { x, y, z, w }; memcpy(at(to), v, 16); }
inline u32 load_shared(u32 from) { u32 x; memcpy(&x, at(from), 4); return x; }
inline void load_shared(u32 from, float &x, float &y, float &z, float &w) {
    x = as_float(load_shared(from)), y = as_float(load_shared(from + 4)), z = as_float(load_shared(from + 8)), w = as_float(load_shared(from + 12));
}
struct alignas(16) Quad { u32 x[4]; };
inline void store_shared(u32 to, const Quad &q) { memcpy(at(to), &q, 16); }
inline Quad load_shared_quad(u32 from) { Quad q; memcpy(&q, at(from), 16); return q; }
// With LATE a copy is done when somebody waits for it, and not when it is issued: what reads it without waiting reads NaN.
inline void copy(const Copy &c) { memset(at(c.to), 0, 16), memcpy(at(c.to), c.from, c.bytes); }
inline void copy_async(u32 to, const void *from, int bytes = 16) {
    if (to % 16 || (uintptr_t)from % 16) { fprintf(stderr, "a copy from %p to %u\n", from, to); exit(3); }
#ifdef LATE
    if (current->copies.empty()) current->copies.emplace_back();
    current->copies.back().push_back({ to, from, bytes });
#else
    copy({ to, from, bytes });
#endif
}
inline void copy_commit() { if (!current->copies.empty()) current->copies.emplace_back(); }
template <int Groups> void copy_wait() {
    auto &groups = current->copies;                             // the last one is not committed
    for (; groups.size() > Groups + 1; groups.erase(groups.begin())) for (const auto &c : groups[0]) copy(c);
}
inline void bulk_store(float *to, u32 from, u32 bytes) { memcpy(to, at(from), bytes); }
inline void bulk_add(float *to, u32 from, u32 bytes) { for (u32 i = 0; i < bytes / 4; i++) to[i] += as_float(load_shared(from + 4 * i)); }
inline void bulk_commit() {}
inline void bulk_wait() {}
inline void bulk_wait_read() {}
inline void async_proxy_fence() {}
inline u32 atomic_add(u32 *sum, u32 x) { const u32 before = *sum; *sum += x; return before; }
inline u32 load_acquire(const u32 *from) { return *from; }
inline void store_release(u32 *to, u32 x) { *to = x; }

// ---- Barriers in shared memory and the copy engine ------------------------------------------------------------------------

struct Barrier { int count, pending; long bytes; u32 phase; };
inline std::map<u32, Barrier> barriers;
inline void settle(Barrier &b) { if (b.pending == 0 && b.bytes == 0) { b.pending = b.count; b.phase++; go_on(); } }
inline void barrier_init(u32 barrier, int arrivals) { barriers[barrier] = { arrivals, arrivals, 0, 0 }; }
inline void barrier_init_fence() {}
inline void barrier_arrive(u32 barrier) { auto &b = barriers.at(barrier); b.pending--; settle(b); }
inline void barrier_arrive_expect(u32 barrier, u32 bytes) { auto &b = barriers.at(barrier); b.bytes += bytes; b.pending--; settle(b); }
inline void barrier_wait(u32 barrier, u32 parity) { while ((barriers.at(barrier).phase & 1) == parity) give_way(); }
inline void warpgroup_arrive(u32 barrier) { warpgroup_sync(); if (threadIdx.x % 128 == 0) barrier_arrive(barrier); }
struct Yes { static constexpr bool value = true; };
struct No { static constexpr bool value = false; };

// Of 16-bit elements; boxes are 64 wide, in rows of 128 bytes with the swizzle of that name.
struct TensorMap { const u16 *base; int sizes[4]; long strides[4]; int rows; };
inline u32 swizzled(u32 address) { return address ^ (address >> 7 & 7) << 4; }
inline void load_box(u32 to, const TensorMap &map, u32 barrier, int x, int y, int z, int w) {
    if (to % 1024) { fprintf(stderr, "a box at %u\n", to); exit(3); }
    for (int r = 0; r < map.rows; r++)
        for (int i = 0; i < 64; i++) {
            const bool inside = x + i < map.sizes[0] && y + r >= 0 && y + r < map.sizes[1] && z < map.sizes[2] && w < map.sizes[3];
            const u16 v = inside ? map.base[w * map.strides[3] + z * map.strides[2] + (y + r) * map.strides[1] + x + i] : 0;
            memcpy(at(swizzled(to + r * 128 + i * 2)), &v, 2);
        }
    auto &b = barriers.at(barrier);
    b.bytes -= map.rows * 128;
    settle(b);
}

// ---- Products of a warp -------------------------------------------------------------------------------------------------

inline void load_matrices(u32 (&x)[4], u32 address) {
    for (int i = 0; i < 4; i++) x[i] = load_shared(shuffle(address, 8 * i + lane_index() / 4) + lane_index() % 4 * 4);
}
inline void load_matrices_transposed(u32 (&x)[4], u32 address) {
    for (int i = 0; i < 4; i++) {
        u16 pair[2];
        for (int e = 0; e < 2; e++) memcpy(&pair[e], at(shuffle(address, 8 * i + lane_index() % 4 * 2 + e) + lane_index() / 4 * 2), 2);
        x[i] = pair[0] | (u32)pair[1] << 16;
    }
}
template <typename T> void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    static u32 operands[1024][6];                               // of every thread of the block
    const int first = threadIdx.x / 32 * 32, lane = lane_index();
    for (int i = 0; i < 6; i++) operands[threadIdx.x][i] = i < 4 ? a[i] : i == 4 ? b0 : b1;
    warp_sync();
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) {
            const u32 x = operands[first + row * 4 + k % 8 / 2][i / 2 + k / 8 * 2], y = operands[first + column * 4 + k % 8 / 2][4 + k / 8];
            c[i] += widen(x >> 16 * (k % 2)) * widen(y >> 16 * (k % 2));
        }
    }
    warp_sync();
}

// ---- Products of a warpgroup ---------------------------------------------------------------------------------------------

template <int> u64 matrix_at(u32 address, u32 leading = 16, u32 stride = 1024) {
    return address | (u64)(leading / 16) << 20 | (u64)(stride / 16) << 40;
}
// Element k of row or column i of a matrix in shared memory.
inline float element(u64 matrix, bool transposed, int i, int k) {
    const u32 start = matrix & 0xfffff, leading = (matrix >> 20 & 0xfffff) * 16, stride = (matrix >> 40) * 16;
    u16 v;
    memcpy(&v, at(swizzled(start + (transposed ? i / 64 * leading + k / 8 * stride + k % 8 * 128 + i % 64 * 2 : i / 8 * stride + i % 8 * 128 + k * 2))), 2);
    return widen(v);
}
template <int N, class A> void multiply(float (&d)[N / 2], A a, u64 b, bool transposed, bool add) {
    const int thread = threadIdx.x % 128, row = thread / 32 * 16 + thread % 32 / 4, column = thread % 4 * 2;
    warpgroup_sync();
    for (int i = 0; i < N / 2; i++) {
        float sum = add ? d[i] : 0;
        for (int k = 0; k < 16; k++) sum += a(row + i / 2 % 2 * 8, k) * element(b, transposed, i / 4 * 8 + column + i % 2, k);
        d[i] = sum;
    }
    warpgroup_sync();
}
inline std::vector<float> rows_in_registers(4 * 64 * 16);
template <typename T, int N, int TransA = 0, int TransB = 0> void wgmma(float (&d)[N / 2], u64 a, u64 b, bool add) {
    multiply<N>(d, [=](int row, int k) { return element(a, TransA, row, k); }, b, TransB, add);
}
template <typename T, int N, int TransB = 0> void wgmma(float (&d)[N / 2], const u32 (&a)[4], u64 b, bool add) {
    const int thread = threadIdx.x % 128, row = thread / 32 * 16 + thread % 32 / 4, column = thread % 4 * 2;
    float *rows = &rows_in_registers[threadIdx.x / 128 * 64 * 16];
    for (int i = 0; i < 8; i++) rows[(row + i / 2 % 2 * 8) * 16 + i / 4 * 8 + column + i % 2] = widen(a[i / 2] >> 16 * (i % 2));
    multiply<N>(d, [=](int r, int k) { return rows[r * 16 + k]; }, b, TransB, add);
}
inline void wgmma_fence() {}
inline void wgmma_commit() {}
template <int> void wgmma_wait() {}
template <class Registers> void wgmma_keep(Registers &) {}

// ---- A thread block --------------------------------------------------------------------------------------------------------

template <class Kernel> void run_block(Dim index, int threads, Kernel kernel) {
    static Kernel *running;
    running = &kernel;
    blockIdx = index;
    fibers = std::vector<Fiber>(threads);
    warps.assign(threads / 32, {});
    warpgroups.assign((threads + 127) / 128, {});
    block = {};
    for (auto &n : named) n = {};
    exchange.assign(threads, 0);
    barriers.clear();
    std::fill(shared_memory.begin(), shared_memory.end(), 0xff);    // NaN wherever nothing was written
    idle = 0;
    for (int i = 0; i < threads; i++) {
        auto &f = fibers[i];
        f.stack.resize(262144);
        f.index = { (u32)i, 0, 0 };
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data();
        f.context.uc_stack.ss_size = f.stack.size();
        f.context.uc_link = &scheduler;
        makecontext(&f.context, +[] { (*running)(); current->done = true; }, 0);
    }
    // Each warp runs until it waits for another one, the last ones first in every second round: what lacks a barrier goes wrong.
    bool left = true;
    for (int round = 0; left; round++) {
        left = false;
        for (int i = 0; i < threads / 32; i++) {
            const int warp = round % 2 ? threads / 32 - 1 - i : i;
            u64 before;
            do {
                before = progress;
                for (int f = 32 * warp; f < 32 * warp + 32; f++) {
                    if (fibers[f].done) continue;
                    current = &fibers[f];
                    swapcontext(&scheduler, &current->context);
                    left |= !current->done;
                }
            } while (progress != before);
        }
    }
}

template <class Kernel> void run_grid(Dim grid, int threads, Kernel kernel) {
    gridDim = grid;
    for (u32 z = 0; z < grid.z; z++)
        for (u32 y = 0; y < grid.y; y++)
            for (u32 x = 0; x < grid.x; x++) run_block({ x, y, z }, threads, kernel);
}
