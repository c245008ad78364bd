// The context-miss token's mass (landmark-attention.md 1.7), the first of the decode kernels' launches where a model has such a token:
// grid (units, sequences). It competes with the window alone, so nothing of the memory is looked at for it.
#ifndef LANDMARK_DECODE_MISS
#define LANDMARK_DECODE_MISS
#include "decode.cuh"

constexpr int kMissThreads = 128, kMissWarps = kMissThreads / kWarp;

// Whether a head retrieves, mass [sequences, H]: always where there is no such token, and so no mass.
DEVICE bool retrieves(const float* mass, long long head, const Sizes& z) { return !mass || !(mass[head] < z.cutoff); }

// The first of a unit's heads that does; R where none does.
DEVICE int first_to_retrieve(const float* mass, long long firstHead, const Sizes& z) {
    int first = R;
#pragma unroll
    for (int q = R - 1; q >= 0; q--)
        if (retrieves(mass, firstHead + q, z)) first = q;
    return first;
}

// miss [G, D]: the token's keys, not rotated. dropped: one more for each head that retrieves nothing though there are blocks.
extern "C" __global__ void __launch_bounds__(kMissThreads) landmark_miss(
    const __grid_constant__ Sequences sequences, const T* queries, const float* angles, const T* miss, float* mass, u32* dropped,
    const __grid_constant__ Sizes z)
{
    __shared__ float scores[R][kMostSlots];     // of the own block's tokens, of the window's landmarks, of the token
    start_next();
    const int unit = blockIdx.x, warp = threadIdx.x / kWarp, lane = threadIdx.x % kRowLanes, L = z.tokens + 1;
    const int group = unit / z.repeat, side = threadIdx.x % kWarp / kRowLanes * kAtOnce;
    const Sequence s = sequences.at[blockIdx.y];
    const int own = s.position / L, tokens = smaller(s.position % L + 1, z.tokens), window = tokens + own;
    const long long firstHead = (long long)blockIdx.y * z.heads + unit * R;
    auto score = [&](const Form& form, int from, int end, auto place) {
        Rows rows;
        rows.load(side, place);
        float score[kValues];
        form.dot(rows, score);
        Share::fold(score);
#pragma unroll
        for (int i = 0; i < kEach; i++) {
            const int row = from + side + Share::row(lane) + i;
            if (Share::owns(lane) && row < end) scores[Share::head(lane)][row] = score[i];
        }
    };
    {
        const T* keys = s.blocks + ((long long)(s.inMemory + own) * z.groups + group) * 2 * z.tokens * D;
        const Form form(queries + firstHead * D, angles, s.position % L, z.scale);
        for (int from = warp * kWarpRows; from < tokens; from += kMissWarps * kWarpRows)
            score(form, from, tokens, [&](int row) { return keys + (long long)smaller(from + row, tokens - 1) * D; });
    }
    for (int i = warp; i <= own; i += kMissWarps) {
        // The token stands before the text's first block, or of more blocks before slot 0.
        const bool token = i == own;
        const T* key = token ? miss + group * D : s.landmarks + (group * s.capacity + s.inMemory + i) * D;
        const int distance = token ? s.position + smaller(s.inMemory, taken(s, z) + 1) * L + 1 : s.position - i * L;
        const Form form(queries + firstHead * D, angles, distance, z.scale);
        score(form, tokens + i, tokens + i + 1, [&](int) { return key; });
    }
    __syncthreads();
    for (int q = warp; q < R; q += kMissWarps) {
        float most = -infinity(), sum = 0;
        for (int i = lane_index(); i < window; i += kWarp) most = larger(most, scores[q][i]);
        most = warp_max(most);
        for (int i = lane_index(); i < window; i += kWarp) sum += power_of_2(scores[q][i] - most);
        sum = warp_sum(sum);
        if (lane_index() != 0) continue;
        const float p = 1 / (1 + sum * power_of_2(most - scores[q][window]));
        mass[firstHead + q] = p;
        if (s.inMemory > 0 && p < z.cutoff) atomic_add(dropped, 1);
    }
}

#endif
