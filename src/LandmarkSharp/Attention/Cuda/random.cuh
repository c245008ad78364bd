// Random numbers that follow from a seed and a place.
#ifndef LANDMARK_RANDOM
#define LANDMARK_RANDOM
#include "common.cuh"

// murmur3's finalizer: every bit of x bears on every bit of the result.
DEVICE u32 mixed(u32 x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

#endif
