// Landmark attention, forward, in the plainest way: a warp for each query, one key at a time, float32 throughout. Any card,
// any block length, any head of up to 256: what faster kernels are checked against, and what takes the shapes they do not.
//
// Of a query at position i in block B (Own: the regular tokens of B up to i; the gate: Own and the landmarks of the blocks
// before, those without a regular token left out):
//     P = softmax of the scores over the gate;  A_b = softmax of the scores over the regular tokens of block b < B
//     out = sum over j in Own of P_j v_j  +  sum over b < B of P_landmark(b) * (sum over j in b of A_b,j v_j)
//     lse = log of the sum of exp(score) over the gate
// In one pass a block's own mean of values counts as one value with its landmark's score. A query that is a landmark does
// not see itself. A query that sees nothing gives zeros, and lse = -infinity.
//
// Position p is a landmark where p + 1 - first is a multiple of block, from p = first - 1 on.
// PER_LANE is ceil(head / 32): elements of a head in each lane.
// check: PER_LANE=1
// check: PER_LANE=8
#include "common.cuh"

constexpr int kWarps = 4;

// A softmax under way, and the mean of values that it weighs: value / sum.
struct Softmax {
    float max = -infinity(), sum = 0, value[PER_LANE] = {};

    // Takes in a value with its score; scores are times log2(e).
    DEVICE void add(float score, const float (&v)[PER_LANE]) {
        const float most = larger(max, score), keep = power_of_2(max - most), weight = power_of_2(score - most);
        sum = sum * keep + weight;
        max = most;
#pragma unroll
        for (int e = 0; e < PER_LANE; e++) value[e] = value[e] * keep + weight * v[e];
    }
};

// Lane l holds elements l, l + 32, ... of a head; those beyond the head are 0.
template <typename T> DEVICE void load(float (&x)[PER_LANE], const T* row, int head, int lane) {
#pragma unroll
    for (int e = 0; e < PER_LANE; e++) x[e] = lane + e * kWarp < head ? to_float(row[lane + e * kWarp]) : 0;
}

DEVICE float dot(const float (&a)[PER_LANE], const float (&b)[PER_LANE]) {
    float sum = 0;
#pragma unroll
    for (int e = 0; e < PER_LANE; e++) sum += a[e] * b[e];
    return warp_sum(sum);
}

// The strides of a tensor [batch, heads, positions, head] in elements; a head's elements lie side by side.
struct Strides { long long batch, head, position; };

template <typename T>
DEVICE void forward(T* out, float* lse, const T* q, const T* k, const T* v, Strides qs, Strides ks, Strides vs, long long rows,
                    int heads, int groups, int queries, int keys, int head, int block, int first, float scale) {
    const int lane = threadIdx.x % kWarp;
    const long long row = blockIdx.x * (long long)kWarps + threadIdx.x / kWarp;   // [batch, heads, queries]
    if (row >= rows) return;
    const int t = row % queries, h = row / queries % heads, g = h / (heads / groups);
    const long long b = row / queries / heads;
    k += b * ks.batch + g * ks.head;
    v += b * vs.batch + g * vs.head;

    float query[PER_LANE], x[PER_LANE];
    load(query, q + b * qs.batch + h * qs.head + t * qs.position, head, lane);
#pragma unroll
    for (int e = 0; e < PER_LANE; e++) query[e] *= scale * kLog2E;
    auto score = [&](long long j) { load(x, k + j * ks.position, head, lane); return dot(query, x); };
    auto add = [&](Softmax& softmax, long long j) {
        const float s = score(j);
        load(x, v + j * vs.position, head, lane);
        softmax.add(s, x);
    };

    const int i = keys - queries + t;   // the query's position
    Softmax gate;
    int start = 0, length = first;      // of the block at hand
    while (start + length <= i) {
        const int landmark = start + length - 1;
        if (landmark > start) {
            Softmax inside;
            for (int j = start; j < landmark; j++) add(inside, j);
#pragma unroll
            for (int e = 0; e < PER_LANE; e++) inside.value[e] /= inside.sum;
            gate.add(score(landmark), inside.value);
        }
        start += length;
        length = block;
    }
    const int last = smaller(i, start + length - 2);   // not its own block's landmark
    for (int j = start; j <= last; j++) add(gate, j);

    const float weight = gate.sum > 0 ? 1 / gate.sum : 0;
    out += row * head;
#pragma unroll
    for (int e = 0; e < PER_LANE; e++)
        if (lane + e * kWarp < head) from_float(gate.value[e] * weight, out[lane + e * kWarp]);
    if (lane == 0) lse[row] = gate.sum > 0 ? (gate.max + log_2(gate.sum)) * kLn2 : -infinity();
}

#define LANDMARK_FORWARD(NAME, TYPE)                                                                                       \
    extern "C" __global__ void __launch_bounds__(kWarps * kWarp)                                                           \
    NAME(TYPE* out, float* lse, const TYPE* q, const TYPE* k, const TYPE* v,                                               \
         long long qb, long long qh, long long qt, long long kb, long long kh, long long kt,                               \
         long long vb, long long vh, long long vt, long long rows, int heads, int groups, int queries, int keys, int head, \
         int block, int first, float scale) {                                                                              \
        forward<TYPE>(out, lse, q, k, v, {qb, qh, qt}, {kb, kh, kt}, {vb, vh, vt}, rows, heads, groups, queries, keys,     \
                      head, block, first, scale);                                                                          \
    }
LANDMARK_FORWARD(landmark_forward_plain_f32, float)
LANDMARK_FORWARD(landmark_forward_plain_f16, f16)
LANDMARK_FORWARD(landmark_forward_plain_bf16, bf16)
