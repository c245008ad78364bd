// What our kernels need of PTX on Hopper and later: barriers in shared memory, and the engine that copies boxes of a tensor
// (TMA). From sm_90 on; warpgroup products, of sm_90a alone, are in wgmma.cuh.
#ifndef LANDMARK_HOPPER
#define LANDMARK_HOPPER
#include "common.cuh"

#if __CUDA_ARCH__ >= 900

// The 128 bytes that TensorMap.Create makes; a kernel's parameter of it is const __grid_constant__.
struct __align__(64) TensorMap { u64 opaque[16]; };

// ---- Barriers: 8 bytes of shared memory --------------------------------------------------------------------------------

// One thread initialises, then fences, then the block synchronises.
DEVICE void barrier_init(u32 barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(arrivals) : "memory");
}
DEVICE void barrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void barrier_arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory");
}
// Arrives, and has the phase wait for so many bytes of copies too.
DEVICE void barrier_arrive_expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}
DEVICE bool barrier_try_wait(u32 barrier, u32 parity) {
    u32 done;
    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
    return done != 0;
}
// Waits for the end of the phase of a parity: 0 for the first, 1 for the second, and so on in turn.
DEVICE void barrier_wait(u32 barrier, u32 parity) {
    while (!barrier_try_wait(barrier, parity)) {}
}

// ---- Copies of boxes: one thread starts them, the barrier gets the bytes ------------------------------------------------

// Coordinates of the box's first element, the innermost first: that one at a multiple of 16 bytes. A box may stand out of the
// tensor on any side.
DEVICE void load_box(u32 to, const TensorMap& map, u32 barrier, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                 :: "r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y) : "memory");
}
DEVICE void load_box(u32 to, const TensorMap& map, u32 barrier, int x, int y, int z) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];"
                 :: "r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z) : "memory");
}
DEVICE void load_box(u32 to, const TensorMap& map, u32 barrier, int x, int y, int z, int w) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
                 :: "r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
}

// Ordinary writes to shared memory, before a barrier, so that the copy engine or a warpgroup product sees them after it.
DEVICE void async_proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#endif

#endif
