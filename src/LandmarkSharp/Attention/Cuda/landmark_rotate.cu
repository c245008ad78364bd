// Rotary embedding: of each row of d elements the pairs (a, b) = (x_i, x_(i + d/2)) are turned by the angles of the row's position,
//     a' = a cos - s b sin        b' = b cos + s a sin        s = 1 forth, -1 back (the gradient's way)
// computed in float32 and rounded once. A thread turns PACK pairs.
// TYPE is the elements' type; PACK, which divides d/2, is how many of them are read at once, 16 bytes at most.
// check: TYPE=bf16 PACK=8
// check: TYPE=f16 PACK=1
// check: TYPE=float PACK=4
#include "common.cuh"

struct __align__(sizeof(TYPE) * PACK) Pack { TYPE x[PACK]; };

// Rows [B, H, T]: strides of x in elements; the result has its rows in the order [B, T, H]. A table of one row for each position, or
// for each position of each sequence: tableBatch is 0 or T d/2.
struct Rows {
    long long batch, head, position, tableBatch;
    u32 threads, heads, positions, half;
    float sign;
};

extern "C" __global__ void landmark_rotate(
    TYPE *__restrict__ out, const TYPE *__restrict__ x, const TYPE *__restrict__ cosines, const TYPE *__restrict__ sines,
    const __grid_constant__ Rows rows)
{
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= rows.threads) return;
    const u32 packs = rows.half / PACK, row = thread / packs, i = (thread - row * packs) * PACK;
    const u32 token = row / rows.heads, h = row - token * rows.heads, b = token / rows.positions, t = token - b * rows.positions;
    x += b * rows.batch + h * rows.head + t * rows.position + i;
    out += (u64)row * 2 * rows.half + i;
    const long long angle = b * rows.tableBatch + (u64)t * rows.half + i;
    const Pack first = *(const Pack *)x, second = *(const Pack *)(x + rows.half);
    const Pack c = *(const Pack *)(cosines + angle), s = *(const Pack *)(sines + angle);
    Pack a, e;
#pragma unroll
    for (int k = 0; k < PACK; k++) {
        const float u = to_float(first.x[k]), v = to_float(second.x[k]), cosine = to_float(c.x[k]), sine = rows.sign * to_float(s.x[k]);
        from_float(multiply_add(u, cosine, -v * sine), a.x[k]);
        from_float(multiply_add(v, cosine, u * sine), e.x[k]);
    }
    *(Pack *)out = a;
    *(Pack *)(out + rows.half) = e;
}
