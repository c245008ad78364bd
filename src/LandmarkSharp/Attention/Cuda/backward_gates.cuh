// A part of landmark_backward_sm90.cu, which has the formulas and the sizes: from a span's scores and dO Vᵀ in registers to W and dS.
#ifndef LANDMARK_BACKWARD_GATES
#define LANDMARK_BACKWARD_GATES

// What is left of a row's scores in a span of a block.
struct Half { float top, sum, landmark; };

struct Row { int start, own, column; float logSum, delta; u32 random; };

struct Shared {
    u32 keys, values, queries, gradients, weights, slopes, parts, halves;
    u32 keyFull, full, free;                           // of queries and gradients together, by stage
    u32 ready, idle;                                   // slopes of a span, by span and stage: written; read by the other span
};

// Where a thread puts what the other span's thread of the same row needs.
DEVICE u32 half_of_row(const Shared &shared, int span, int r) {
    return shared.halves + (64 * span + threadIdx.x % 128 / 32 * 16 + lane_index() / 4 + 8 * r) * 16;
}

// The column of a block's landmark: in the second span if the block lies across both.
constexpr int LANDMARK = SPLIT ? L - 1 - 64 : L - 1, J = N / NB / 8;

// Scores s of a span become W, and gates[r][b] the gate P_b of an earlier block.
template <bool Edge>
DEVICE void weigh(
    float (&s)[N / 2], float (&gates)[2][NB], const Row (&rows)[2], int firstBlock, int span, const u8 *choice, const Shape &shape, const Shared &shared)
{
    const float scale = shape.scaleLog2;
    const int t = lane_index() & 3, start = SPLIT ? 64 * span : 0;
    Half half[2][NB];
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int b = 0; b < NB; b++) {
            const int block = firstBlock + b;
            const bool own = Edge && block == rows[r].own;
            const int from = Edge && block == 0 ? shape.pad : 0;
            int to = !Edge ? L - 1 : own ? smaller(rows[r].column + 1, L - 1) : block < rows[r].own && block >= rows[r].start ? L - 1 : 0;
            if (kChoice && !choice[own ? shape.blocks : smaller(block, shape.blocks - 1)]) to = 0;
            half[r][b].landmark = shuffle(s[4 * (b * J + LANDMARK / 8) + 2 * r + LANDMARK % 2], (lane_index() & ~3) | (LANDMARK % 8 / 2)) * scale;
            float top = -infinity(), sum = 0;
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[4 * (b * J + j) + 2 * r + e];
                    const int column = start + 8 * j + 2 * t + e;
                    if (Edge || SPLIT ? column < from || column >= to : 8 * j + 6 + e >= L - 1 && column >= L - 1) x = -infinity();
                    top = larger(top, x);
                }
            top = warp_max<4>(top);
            half[r][b].top = top == -infinity() ? -infinity() : top * scale;
            const float base = top == -infinity() ? 0 : half[r][b].top;
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[4 * (b * J + j) + 2 * r + e];
                    x = power_of_2(multiply_add(x, scale, -base));
                    sum += x;
                }
            half[r][b].sum = warp_sum<4>(sum);
        }
    float mine[2] = { 1, 1 };                               // what this span's exponentials are multiplied by to match both
    if (SPLIT) {
#pragma unroll
        for (int r = 0; r < 2; r++)
            if (t == 0) store_shared(half_of_row(shared, span, r), half[r][0].top, half[r][0].sum, half[r][0].landmark, 0);
        named_sync(2, 256);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            Half other;
            float unused;
            load_shared(half_of_row(shared, 1 - span, r), other.top, other.sum, other.landmark, unused);
            const float top = larger(half[r][0].top, other.top), base = top == -infinity() ? 0 : top;
            mine[r] = power_of_2(half[r][0].top - base);
            const float theirs = power_of_2(other.top - base);
            // In the order of the spans, so that both get the same bits.
            half[r][0].sum = span == 0 ? half[r][0].sum * mine[r] + other.sum * theirs : other.sum * theirs + half[r][0].sum * mine[r];
            half[r][0].top = top;
            if (span == 0) half[r][0].landmark = other.landmark;
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int b = 0; b < NB; b++) {
            const bool own = Edge && firstBlock + b == rows[r].own, empty = half[r][b].sum == 0;
            const float gate = empty ? 0 : power_of_2((own ? half[r][b].top : half[r][b].landmark) - rows[r].logSum);
            float weight = empty ? 0 : own ? gate * mine[r] : ratio(gate, half[r][b].sum) * mine[r];
            if (kDropout && !own) weight *= keep(shape.dropout, rows[r].random, firstBlock + b);
            gates[r][b] = gate;
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) s[4 * (b * J + j) + 2 * r + e] *= weight;
        }
}

// W and g = dO Vᵀ of a span become dS, in place of g.
template <bool Edge>
DEVICE void differentiate(
    float (&g)[N / 2], const float (&w)[N / 2], const float (&gates)[2][NB], const Row (&rows)[2], int firstBlock, int span, const Shape &shape, const Shared &shared)
{
    const int t = lane_index() & 3;
    float products[2][NB];                                  // P_b D_b, or 0 if the gate was dropped
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int b = 0; b < NB; b++) {
            float product = 0;
#pragma unroll
            for (int i = 2 * r; i < 4 * J; i += 4)
                product = multiply_add(w[4 * b * J + i + 1], g[4 * b * J + i + 1], multiply_add(w[4 * b * J + i], g[4 * b * J + i], product));
            products[r][b] = warp_sum<4>(product);
        }
    if (SPLIT) {
        const u32 second = 2 * 64 * 16;                     // beside what weigh left, which the other may still read
#pragma unroll
        for (int r = 0; r < 2; r++)
            if (t == 0) store_shared(half_of_row(shared, span, r) + second, products[r][0]);
        named_sync(2, 256);
#pragma unroll
        for (int r = 0; r < 2; r++) products[r][0] += as_float(load_shared(half_of_row(shared, 1 - span, r) + second));
    }
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int b = 0; b < NB; b++) {
            const bool own = Edge && firstBlock + b == rows[r].own;
            const float gate = gates[r][b], product = products[r][b];
            float kept = gate;
            if (kDropout && !own) kept *= keep(shape.dropout, rows[r].random, firstBlock + b);
            const float less = own ? rows[r].delta : kept > 0 ? ratio(product, kept) : 0;
            const float landmark = own ? 0 : product - gate * rows[r].delta;
#pragma unroll
            for (int j = 0; j < J; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int i = 4 * (b * J + j) + 2 * r + e;
                    g[i] = w[i] * (g[i] - less);
                    if ((!SPLIT || span == 1) && j == LANDMARK / 8 && e == LANDMARK % 2 && t == LANDMARK % 8 / 2) g[i] = landmark;
                }
        }
}

#endif
