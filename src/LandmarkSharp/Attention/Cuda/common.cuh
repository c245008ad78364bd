// What our kernels need of PTX on any card from sm_80 on. No header of CUDA or C++ is included anywhere: the compiler may
// have none. Names follow PTX's; "PTX ISA" is NVIDIA's manual of that name.
#ifndef LANDMARK_COMMON
#define LANDMARK_COMMON

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE __device__ __forceinline__

constexpr int kWarp = 32;
constexpr u32 kAllLanes = 0xffffffffu;
constexpr float kLog2E = 1.4426950408889634f;   // scores are kept times this, so that exponentials are powers of 2
constexpr float kLn2 = 0.6931471805599453f;

// ---- Numbers -----------------------------------------------------------------------------------------------------------

struct bf16 { u16 bits; };
struct f16 { u16 bits; };

DEVICE float infinity() { float x; asm("mov.f32 %0, 0f7F800000;" : "=f"(x)); return x; }

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { float y; asm("mov.b32 %0, %1;" : "=f"(y) : "r"((u32)x.bits << 16)); return y; }
DEVICE float to_float(f16 x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits)); return y; }

DEVICE void from_float(float x, float& y) { y = x; }
DEVICE void from_float(float x, bf16& y) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }
DEVICE void from_float(float x, f16& y) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }

// Two numbers in one register, the first in the low half: how matrix instructions take them.
template <typename T> DEVICE u32 pack(float low, float high);
template <> DEVICE u32 pack<bf16>(float low, float high) {
    u32 y; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low)); return y;
}
template <> DEVICE u32 pack<f16>(float low, float high) {
    u32 y; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low)); return y;
}

// Fast: about 2 units in the last place; 2^-infinity is 0. NVRTC has functions of the usual names, clang has none.
DEVICE float power_of_2(float x) { float y; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
DEVICE float log_2(float x) { float y; asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
DEVICE float larger(float a, float b) { float y; asm("max.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b)); return y; }
DEVICE int smaller(int a, int b) { return a < b ? a : b; }
DEVICE u32 smaller(u32 a, u32 b) { return a < b ? a : b; }
DEVICE u32 larger(u32 a, u32 b) { return a < b ? b : a; }
DEVICE int leading_zeros(u32 x) { int y; asm("clz.b32 %0, %1;" : "=r"(y) : "r"(x)); return y; }
DEVICE int ones(u32 x) { int y; asm("popc.b32 %0, %1;" : "=r"(y) : "r"(x)); return y; }
DEVICE u32 as_bits(float x) { u32 y; asm("mov.b32 %0, %1;" : "=r"(y) : "f"(x)); return y; }
DEVICE float as_float(u32 x) { float y; asm("mov.b32 %0, %1;" : "=f"(y) : "r"(x)); return y; }
DEVICE float ratio(float x, float y) { float z; asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y)); return z; }
DEVICE float multiply_add(float x, float y, float z) { float r; asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); return r; }

// Constants as arguments of lambdas.
struct Yes { static constexpr bool value = true; };
struct No { static constexpr bool value = false; };

// ---- Warps and blocks --------------------------------------------------------------------------------------------------

DEVICE float shuffle_xor(float x, int mask) {
    float y;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, %3;" : "=f"(y) : "f"(x), "r"(mask), "r"(kAllLanes));
    return y;
}
DEVICE u32 shuffle(u32 x, int lane) {
    u32 y;
    asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, %3;" : "=r"(y) : "r"(x), "r"(lane), "r"(kAllLanes));
    return y;
}
DEVICE float shuffle(float x, int lane) { return as_float(shuffle(as_bits(x), lane)); }
DEVICE int lane_index() { return threadIdx.x % kWarp; }
DEVICE bool any_lane(bool x) {
    u32 any;
    asm volatile("{\n.reg .pred p, q;\nsetp.ne.u32 p, %1, 0;\nvote.sync.any.pred q, p, %2;\nselp.u32 %0, 1, 0, q;\n}"
                 : "=r"(any) : "r"((u32)x), "r"(kAllLanes));
    return any != 0;
}
// A bit for each lane.
DEVICE u32 ballot(bool x) {
    u32 lanes;
    asm volatile("{\n.reg .pred p;\nsetp.ne.u32 p, %1, 0;\nvote.sync.ballot.b32 %0, p, %2;\n}" : "=r"(lanes) : "r"((u32)x), "r"(kAllLanes));
    return lanes;
}
DEVICE int bits_set(u32 x) { int count; asm("popc.b32 %0, %1;" : "=r"(count) : "r"(x)); return count; }
DEVICE int highest_bit(u32 x) { int bit; asm("bfind.u32 %0, %1;" : "=r"(bit) : "r"(x)); return bit; }
DEVICE void warp_sync() { asm volatile("bar.warp.sync %0;" :: "r"(kAllLanes) : "memory"); }
// Over groups of Lanes neighbouring lanes, a power of 2; every lane gets the result.
template <int Lanes = kWarp> DEVICE float warp_sum(float x) {
#pragma unroll
    for (int mask = Lanes / 2; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
    return x;
}
template <int Lanes = kWarp> DEVICE float warp_max(float x) {
#pragma unroll
    for (int mask = Lanes / 2; mask > 0; mask /= 2) x = larger(x, shuffle_xor(x, mask));
    return x;
}
DEVICE u32 warp_sum(u32 x) { u32 y; asm volatile("redux.sync.add.u32 %0, %1, %2;" : "=r"(y) : "r"(x), "r"(kAllLanes)); return y; }
DEVICE u32 warp_min(u32 x) { u32 y; asm volatile("redux.sync.min.u32 %0, %1, %2;" : "=r"(y) : "r"(x), "r"(kAllLanes)); return y; }
DEVICE u32 warp_max(u32 x) { u32 y; asm volatile("redux.sync.max.u32 %0, %1, %2;" : "=r"(y) : "r"(x), "r"(kAllLanes)); return y; }

// Barriers by number, 1 to 15 (0 is __syncthreads): threads is a multiple of 32.
DEVICE void named_sync(int barrier, int threads) { asm volatile("bar.sync %0, %1;" :: "r"(barrier), "r"(threads) : "memory"); }
DEVICE void named_arrive(int barrier, int threads) { asm volatile("bar.arrive %0, %1;" :: "r"(barrier), "r"(threads) : "memory"); }

// ---- Global memory -----------------------------------------------------------------------------------------------------

// 16 bytes of what is not written while the kernel runs: the compiler may load them whenever it has the address.
DEVICE void load_early(const void* from, u32 (&x)[4]) {
    asm("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "l"(from));
}

// ---- Shared memory -----------------------------------------------------------------------------------------------------

// The address that instructions on shared memory take.
DEVICE u32 shared_address(const void* pointer) {
    u64 address;
    asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(pointer));
    return (u32)address;
}

// The launch's dynamic shared memory, at a multiple of 16 bytes.
DEVICE void* shared_room() {
    extern __shared__ __align__(16) unsigned char room[];
    return room;
}
// The launch's dynamic shared memory, from the first multiple of 1,024 bytes on: what swizzled boxes lie at.
DEVICE u32 dynamic_shared() {
    extern __shared__ unsigned char memory[];
    return (shared_address(memory) + 1023) & ~1023u;
}

// 16 bytes as they are.
struct __align__(16) Quad { u32 x[4]; };
DEVICE void store_shared(u32 to, u32 x) { asm volatile("st.shared.b32 [%0], %1;" :: "r"(to), "r"(x) : "memory"); }
DEVICE void store_shared(u32 to, const Quad& q) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" :: "r"(to), "r"(q.x[0]), "r"(q.x[1]), "r"(q.x[2]), "r"(q.x[3]) : "memory");
}
DEVICE Quad load_shared_quad(u32 from) {
    Quad q;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(q.x[0]), "=r"(q.x[1]), "=r"(q.x[2]), "=r"(q.x[3]) : "r"(from) : "memory");
    return q;
}

// Copies 16 bytes in the background; bytes beyond the first `bytes` (0 to 16) arrive as 0, and are not read.
DEVICE void copy_async(u32 to, const void* from, int bytes = 16) {
    u64 source;
    asm("cvta.to.global.u64 %0, %1;" : "=l"(source) : "l"(from));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(to), "l"(source), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most Groups of the thread's committed groups are under way.
template <int Groups> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(Groups) : "memory"); }

// Four 8x8 matrices of 16-bit elements; lane i gives the address of row i % 8 of matrix i / 8 (PTX ISA, ldmatrix).
DEVICE void load_matrices(u32 (&x)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
}
DEVICE void load_matrices_transposed(u32 (&x)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
}

// ---- Matrix products of a warp -----------------------------------------------------------------------------------------

// C [16, 8] += A [16, 16] B [16, 8]. With g = lane / 4 and p = lane % 4 * 2, a lane holds
// A: rows g, g+8, g, g+8 at columns p, p, p+8, p+8 (two each); B: column g at rows p, p+8 (two each);
// C: row g at columns p, p+1, row g+8 at columns p, p+1.
template <typename T> DEVICE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1);

#define LANDMARK_MMA(TYPE)                                                                                                 \
    template <> DEVICE void mma<TYPE>(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {                                  \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." #TYPE "." #TYPE ".f32 "                                      \
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                     \
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                      \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                                      \
    }
LANDMARK_MMA(bf16)
LANDMARK_MMA(f16)
#undef LANDMARK_MMA

// ---- Between threads ---------------------------------------------------------------------------------------------------

// Both give what was there before.
DEVICE int add_shared(int& sum, int x) {
    int before;
    asm volatile("atom.shared.add.s32 %0, [%1], %2;" : "=r"(before) : "r"(shared_address(&sum)), "r"(x) : "memory");
    return before;
}
DEVICE u32 atomic_add(u32* sum, u32 x) {
    u32 before;
    asm volatile("atom.global.gpu.relaxed.add.u32 %0, [%1], %2;" : "=r"(before) : "l"(sum), "r"(x) : "memory");
    return before;
}
// Writes before it are seen on the device before those after it.
DEVICE void device_fence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

// ---- Between launches that follow each other (programmatic dependent launch, from sm_90 on) ------------------------------

// Lets the next launch start, if it was launched so, once every thread block has come here or ended.
DEVICE void start_next() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
// Until the launch before has ended and all that it wrote is seen.
DEVICE void wait_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

#endif
