// Choices that end by mass (landmark-attention.md 3.3): how many of the k highest blocks are enough.
#ifndef LANDMARK_MASS
#define LANDMARK_MASS
#include "common.cuh"

// So many of k blocks, the highest first, as have `enough` of a softmax together; k where all have not. share(rank) is a block's
// part of the softmax. For a warp; every lane gets the result.
template <class Part> DEVICE int needed(int k, float enough, Part share) {
    float before = 0;
    for (int first = 0; first < k; first += kWarp) {
        float sum = first + lane_index() < k ? share(first + lane_index()) : 0;
#pragma unroll
        for (int lanes = 1; lanes < kWarp; lanes *= 2) {
            const float others = shuffle(sum, lane_index() + kWarp - lanes);
            if (lane_index() >= lanes) sum += others;
        }
        const u32 reached = ballot(before + sum >= enough);
        if (reached != 0) return smaller(k, first + ones((reached & (0 - reached)) - 1) + 1);
        before += shuffle(sum, kWarp - 1);
    }
    return k;
}

#endif
