// Products of a warpgroup (4 warps, the first at a multiple of 4) on sm_90a: D [64, N] (+)= A [64, 16] B [16, N], 16-bit
// elements, float32 sums. A lies in shared memory or in registers, B in shared memory, D in registers.
// With w the warp of the four, g = lane / 4 and p = lane % 4 * 2, a lane holds of each 8 columns c of D, in d[c/2 + 0..3]:
// row 16w+g at columns c+p, c+p+1, and row 16w+g+8 at the same. A in registers: as mma's, of rows 16w to 16w+15.
#ifndef LANDMARK_WGMMA
#define LANDMARK_WGMMA
#include "hopper.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

// Before the first product on registers or shared memory that were written otherwise.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most Groups of the committed groups are under way.
template <int Groups> DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Groups) : "memory"); }
// Keeps the compiler from moving uses of a product's registers across the point where they are ready.
template <int Count> DEVICE void wgmma_keep(float (&d)[Count]) {
#pragma unroll
    for (int i = 0; i < Count; i++) asm volatile("" : "+f"(d[i]) :: "memory");
}
template <int Count> DEVICE void wgmma_keep(u32 (&a)[Count][4]) {
#pragma unroll
    for (int i = 0; i < 4 * Count; i++) asm volatile("" : "+r"(a[i / 4][i % 4]) :: "memory");
}

// Registers of each thread of the warpgroup, a multiple of 8 from 24 to 256; the kernel needs __launch_bounds__(threads, 1).
template <u32 Registers> DEVICE void registers_raise() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(Registers)); }
template <u32 Registers> DEVICE void registers_lower() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(Registers)); }

// Where a matrix lies in shared memory (PTX ISA, matrix descriptor), in rows of Swizzle = 128, 64 or 32 bytes that were
// swizzled as the tensor map of that name does; a tile of it starts at a multiple of 8 rows' bytes.
// Rows along k (K-major): stride is from 8 rows to the next 8, and leading is not used; 16 further elements of k are 32
// bytes further. Rows along the other dimension (MN-major): leading is from one group of Swizzle bytes of columns to the
// next, stride from 8 k to the next 8.
template <int Swizzle> DEVICE u64 matrix_at(u32 address, u32 leading = 16, u32 stride = 8 * Swizzle) {
    static_assert(Swizzle == 128 || Swizzle == 64 || Swizzle == 32, "a swizzle of tensor maps");
    constexpr u64 layout = Swizzle == 128 ? 1 : Swizzle == 64 ? 2 : 3;
    return (u64)((address & 0x3ffff) >> 4) | (u64)((leading & 0x3ffff) >> 4) << 16 | (u64)((stride & 0x3ffff) >> 4) << 32
        | layout << 62;
}

// The instruction for a type and a size; below.
template <typename T, int N, int TransA, int TransB> struct Wgmma;

// A or B is transposed (1) when it is MN-major. Add is false for D = AB.
template <typename T, int N, int TransA = 0, int TransB = 0>
DEVICE void wgmma(float (&d)[N / 2], u64 a, u64 b, bool add) { Wgmma<T, N, TransA, TransB>::shared(d, a, b, add); }
template <typename T, int N, int TransB = 0>
DEVICE void wgmma(float (&d)[N / 2], const u32 (&a)[4], u64 b, bool add) { Wgmma<T, N, 0, TransB>::registers(d, a, b, add); }

// The registers of D in the instruction's text and in its operands, 4 more in each line.
#define TEXT_4 "%0, %1, %2, %3"
#define SUMS_4 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define TEXT_8 TEXT_4 ", %4, %5, %6, %7"
#define SUMS_8 SUMS_4, "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
#define TEXT_12 TEXT_8 ", %8, %9, %10, %11"
#define SUMS_12 SUMS_8, "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])
#define TEXT_16 TEXT_12 ", %12, %13, %14, %15"
#define SUMS_16 SUMS_12, "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define TEXT_20 TEXT_16 ", %16, %17, %18, %19"
#define SUMS_20 SUMS_16, "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19])
#define TEXT_24 TEXT_20 ", %20, %21, %22, %23"
#define SUMS_24 SUMS_20, "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23])
#define TEXT_28 TEXT_24 ", %24, %25, %26, %27"
#define SUMS_28 SUMS_24, "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27])
#define TEXT_32 TEXT_28 ", %28, %29, %30, %31"
#define SUMS_32 SUMS_28, "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define TEXT_36 TEXT_32 ", %32, %33, %34, %35"
#define SUMS_36 SUMS_32, "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35])
#define TEXT_40 TEXT_36 ", %36, %37, %38, %39"
#define SUMS_40 SUMS_36, "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39])
#define TEXT_44 TEXT_40 ", %40, %41, %42, %43"
#define SUMS_44 SUMS_40, "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43])
#define TEXT_48 TEXT_44 ", %44, %45, %46, %47"
#define SUMS_48 SUMS_44, "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
#define TEXT_52 TEXT_48 ", %48, %49, %50, %51"
#define SUMS_52 SUMS_48, "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51])
#define TEXT_56 TEXT_52 ", %52, %53, %54, %55"
#define SUMS_56 SUMS_52, "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55])
#define TEXT_60 TEXT_56 ", %56, %57, %58, %59"
#define SUMS_60 SUMS_56, "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59])
#define TEXT_64 TEXT_60 ", %60, %61, %62, %63"
#define SUMS_64 SUMS_60, "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
#define TEXT_68 TEXT_64 ", %64, %65, %66, %67"
#define SUMS_68 SUMS_64, "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67])
#define TEXT_72 TEXT_68 ", %68, %69, %70, %71"
#define SUMS_72 SUMS_68, "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71])
#define TEXT_76 TEXT_72 ", %72, %73, %74, %75"
#define SUMS_76 SUMS_72, "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75])
#define TEXT_80 TEXT_76 ", %76, %77, %78, %79"
#define SUMS_80 SUMS_76, "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79])
#define TEXT_84 TEXT_80 ", %80, %81, %82, %83"
#define SUMS_84 SUMS_80, "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83])
#define TEXT_88 TEXT_84 ", %84, %85, %86, %87"
#define SUMS_88 SUMS_84, "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87])
#define TEXT_92 TEXT_88 ", %88, %89, %90, %91"
#define SUMS_92 SUMS_88, "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91])
#define TEXT_96 TEXT_92 ", %92, %93, %94, %95"
#define SUMS_96 SUMS_92, "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define TEXT_100 TEXT_96 ", %96, %97, %98, %99"
#define SUMS_100 SUMS_96, "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99])
#define TEXT_104 TEXT_100 ", %100, %101, %102, %103"
#define SUMS_104 SUMS_100, "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103])
#define TEXT_108 TEXT_104 ", %104, %105, %106, %107"
#define SUMS_108 SUMS_104, "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107])
#define TEXT_112 TEXT_108 ", %108, %109, %110, %111"
#define SUMS_112 SUMS_108, "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111])
#define TEXT_116 TEXT_112 ", %112, %113, %114, %115"
#define SUMS_116 SUMS_112, "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115])
#define TEXT_120 TEXT_116 ", %116, %117, %118, %119"
#define SUMS_120 SUMS_116, "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119])
#define TEXT_124 TEXT_120 ", %120, %121, %122, %123"
#define SUMS_124 SUMS_120, "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123])
#define TEXT_128 TEXT_124 ", %124, %125, %126, %127"
#define SUMS_128 SUMS_124, "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])

// R is N / 2; I0 to I6 are the numbers of the operands behind D's registers.
#define WGMMA(TYPE, N, R, I0, I1, I2, I3, I4, I5, I6)                                                                      \
    template <int TransA, int TransB> struct Wgmma<TYPE, N, TransA, TransB> {                                              \
        static DEVICE void shared(float (&d)[R], u64 a, u64 b, int add) {                                                  \
            asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #I2 ", 0;\n"                                                 \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #TYPE "." #TYPE " {" TEXT_##R "}, %" #I0          \
                         ", %" #I1 ", p, 1, 1, %" #I3 ", %" #I4 ";\n}"                                                     \
                         : SUMS_##R : "l"(a), "l"(b), "r"(add), "n"(TransA), "n"(TransB));                                 \
        }                                                                                                                  \
        static DEVICE void registers(float (&d)[R], const u32 (&a)[4], u64 b, int add) {                                   \
            asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #I5 ", 0;\n"                                                 \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #TYPE "." #TYPE " {" TEXT_##R "}, {%" #I0         \
                         ", %" #I1 ", %" #I2 ", %" #I3 "}, %" #I4 ", p, 1, 1, %" #I6 ";\n}"                               \
                         : SUMS_##R : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(TransB));          \
        }                                                                                                                  \
    };

#define WGMMA_TYPES(N, R, ...) WGMMA_EACH(bf16, N, R, __VA_ARGS__) WGMMA_EACH(f16, N, R, __VA_ARGS__)
#define WGMMA_EACH(...) WGMMA(__VA_ARGS__)
WGMMA_TYPES(8, 4, 4, 5, 6, 7, 8, 9, 10)
WGMMA_TYPES(16, 8, 8, 9, 10, 11, 12, 13, 14)
WGMMA_TYPES(24, 12, 12, 13, 14, 15, 16, 17, 18)
WGMMA_TYPES(32, 16, 16, 17, 18, 19, 20, 21, 22)
WGMMA_TYPES(40, 20, 20, 21, 22, 23, 24, 25, 26)
WGMMA_TYPES(48, 24, 24, 25, 26, 27, 28, 29, 30)
WGMMA_TYPES(56, 28, 28, 29, 30, 31, 32, 33, 34)
WGMMA_TYPES(64, 32, 32, 33, 34, 35, 36, 37, 38)
WGMMA_TYPES(72, 36, 36, 37, 38, 39, 40, 41, 42)
WGMMA_TYPES(80, 40, 40, 41, 42, 43, 44, 45, 46)
WGMMA_TYPES(88, 44, 44, 45, 46, 47, 48, 49, 50)
WGMMA_TYPES(96, 48, 48, 49, 50, 51, 52, 53, 54)
WGMMA_TYPES(104, 52, 52, 53, 54, 55, 56, 57, 58)
WGMMA_TYPES(112, 56, 56, 57, 58, 59, 60, 61, 62)
WGMMA_TYPES(120, 60, 60, 61, 62, 63, 64, 65, 66)
WGMMA_TYPES(128, 64, 64, 65, 66, 67, 68, 69, 70)
WGMMA_TYPES(136, 68, 68, 69, 70, 71, 72, 73, 74)
WGMMA_TYPES(144, 72, 72, 73, 74, 75, 76, 77, 78)
WGMMA_TYPES(152, 76, 76, 77, 78, 79, 80, 81, 82)
WGMMA_TYPES(160, 80, 80, 81, 82, 83, 84, 85, 86)
WGMMA_TYPES(168, 84, 84, 85, 86, 87, 88, 89, 90)
WGMMA_TYPES(176, 88, 88, 89, 90, 91, 92, 93, 94)
WGMMA_TYPES(184, 92, 92, 93, 94, 95, 96, 97, 98)
WGMMA_TYPES(192, 96, 96, 97, 98, 99, 100, 101, 102)
WGMMA_TYPES(200, 100, 100, 101, 102, 103, 104, 105, 106)
WGMMA_TYPES(208, 104, 104, 105, 106, 107, 108, 109, 110)
WGMMA_TYPES(216, 108, 108, 109, 110, 111, 112, 113, 114)
WGMMA_TYPES(224, 112, 112, 113, 114, 115, 116, 117, 118)
WGMMA_TYPES(232, 116, 116, 117, 118, 119, 120, 121, 122)
WGMMA_TYPES(240, 120, 120, 121, 122, 123, 124, 125, 126)
WGMMA_TYPES(248, 124, 124, 125, 126, 127, 128, 129, 130)
WGMMA_TYPES(256, 128, 128, 129, 130, 131, 132, 133, 134)
#undef WGMMA_TYPES
#undef WGMMA_EACH
#undef WGMMA

#endif

#endif
