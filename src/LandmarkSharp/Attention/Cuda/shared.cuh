// Ordinary accesses to shared memory by address, copies from it to global memory by the copy engine, and turns that thread
// blocks take. From sm_90 on.
#pragma once
#include "hopper.cuh"

#if __CUDA_ARCH__ >= 900

// One arrival for the whole warpgroup, once all of it is here; groups 1 and 2 have barriers of their numbers + 4.
DEVICE void warpgroup_arrive(u32 barrier) {
    named_sync(4 + threadIdx.x / 128, 128);
    if (threadIdx.x % 128 == 0) barrier_arrive(barrier);
}

DEVICE void store_shared(u32 to, float x) { asm volatile("st.shared.f32 [%0], %1;" :: "r"(to), "f"(x) : "memory"); }
DEVICE void store_shared(u32 to, float x, float y, float z, float w) {
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" :: "r"(to), "f"(x), "f"(y), "f"(z), "f"(w) : "memory");
}
DEVICE u32 load_shared(u32 from) {
    u32 x;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(x) : "r"(from) : "memory");
    return x;
}
DEVICE void load_shared(u32 from, float& x, float& y, float& z, float& w) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(x), "=f"(y), "=f"(z), "=f"(w) : "r"(from) : "memory");
}

// ---- From shared to global memory, in the background; bytes and both addresses are multiples of 16 ----------------------

DEVICE void bulk_store(float* to, u32 from, u32 bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" :: "l"(to), "r"(from), "r"(bytes) : "memory");
}
DEVICE void bulk_add(float* to, u32 from, u32 bytes) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;"
                 :: "l"(to), "r"(from), "r"(bytes) : "memory");
}
DEVICE void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
DEVICE void bulk_wait_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }     // shared memory is free
DEVICE void bulk_wait() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }               // and all is written

// ---- Between thread blocks ---------------------------------------------------------------------------------------------

DEVICE u32 load_acquire(const u32* from) {
    u32 x;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(x) : "l"(from) : "memory");
    return x;
}
// What the copy engine wrote before is seen by whoever acquires this.
DEVICE void store_release(u32* to, u32 x) {
    asm volatile("fence.proxy.async.global;\nst.release.gpu.global.u32 [%0], %1;" :: "l"(to), "r"(x) : "memory");
}

#endif
