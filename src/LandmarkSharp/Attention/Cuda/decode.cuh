// What the decode kernels share: a sequence, a query turned to a slot, and scores of rows by lanes that share them.
#ifndef LANDMARK_DECODE
#define LANDMARK_DECODE
#include "common.cuh"

typedef ELEMENT T;
constexpr int D = HEAD_DIM, R = SHARED_HEADS;
constexpr int kPiece = 16 / sizeof(T);                                      // elements of 16 bytes
constexpr int kPieces = D / kPiece;
constexpr int kRowLanes = kPieces > 16 ? 32 : kPieces > 8 ? 16 : 8;         // lanes that share a row
constexpr int kSteps = (kPieces + kRowLanes - 1) / kRowLanes;               // pieces of a row in each lane
constexpr int kRows = kWarp / kRowLanes;                                    // rows that a warp has side by side
constexpr int kAtOnce = R > 4 ? 2 : 4;                                      // rows of a lane that are under way together
constexpr int kWarpRows = kRows * kAtOnce;
constexpr int kMostChosen = 256, kMostSlots = 512, kMostSequences = 16;

// A sequence in a layer.
struct Sequence {
    const T* blocks;        // [capacity, G, 2, tokens, D]: keys at block-local phase, values
    const T* landmarks;     // [G, capacity, D]
    long long capacity;     // of the landmarks
    int inMemory;           // blocks before the window
    int position;           // of the query, from the window's start
};
struct Sequences { Sequence at[kMostSequences]; };

struct Sizes {
    int heads, groups, repeat, tokens, topK;    // repeat: units that share keys and values, H / G / R
    int splits, parts;                          // of the scan: thread blocks for the old, and for all
    int chosenHeads;                            // heads that share a choice
    int tied;                                   // all old landmarks have the first one's key
    int mostBlocks;                             // the longest memory, rounded up to a multiple of 4
    int sharedKeys;                             // whether the choice has its keys in shared memory
    float scale;                                // of scores, times log2 e
    float enough;                               // a choice ends when it has so much of the softmax over landmarks; never from 1 on
    float cutoff;                               // a context-miss token's mass below which a head retrieves nothing
};

DEVICE int taken(const Sequence& s, const Sizes& z) { return smaller(z.topK, s.inMemory); }

// A sum of powers of 2 when its highest exponent changes; of nothing the highest is -infinity.
DEVICE float scaled(float sum, float by) { return sum > 0 ? sum * power_of_2(by) : 0; }

// 16 bytes as they are, in one load: of what no kernel of these writes, so that it may be early.
struct __align__(16) Piece { u32 words[4]; };
DEVICE Piece load_piece(const void* from) { Piece x; load_early(from, x.words); return x; }
template <typename E> DEVICE void widen(const Piece& piece, float (&x)[16 / sizeof(E)]) {
#pragma unroll
    for (int w = 0; w < 4; w++) {
        if constexpr (sizeof(E) == 4) {
            x[w] = as_float(piece.words[w]);
        } else {
            E low, high;
            low.bits = (u16)piece.words[w], high.bits = (u16)(piece.words[w] >> 16);
            x[2 * w] = to_float(low), x[2 * w + 1] = to_float(high);
        }
    }
}
DEVICE void load_row(const T* row, int lane, Piece (&pieces)[kSteps]) {
#pragma unroll
    for (int s = 0; s < kSteps; s++)
        pieces[s] = lane + s * kRowLanes < kPieces ? load_piece(row + (lane + s * kRowLanes) * kPiece) : Piece {};
}

// ---- Scores: each lane has sums of its part of kAtOnce rows for R heads, and they go around until each lane has a few whole --

constexpr int kHeads = R > 4 ? 8 : R > 2 ? 4 : R;                           // a power of 2
constexpr int kValues = kHeads * kAtOnce;                                   // value head * kAtOnce + row
constexpr int kEach = kValues > kRowLanes ? kValues / kRowLanes : 1;        // whole ones in a lane in the end
constexpr int kCopies = kRowLanes > kValues ? kRowLanes / kValues : 1;      // lanes that have the same
constexpr int kHeadLanes = kRowLanes / kHeads;                              // neighbours that have the same head

struct Share {
    static DEVICE int head(int lane) { return lane / kHeadLanes; }
    static DEVICE int row(int lane) { return lane / kCopies * kEach % kAtOnce; }        // of the first
    static DEVICE bool owns(int lane) { return lane % kCopies == 0 && head(lane) < R; }

    // A lane and its partner halve what they have: each sends what the other keeps. The order of additions is every value's.
    template <int Count = kValues, int Mask = kRowLanes / 2> static DEVICE void fold(float (&value)[kValues]) {
        if constexpr (Count > 1) {
            const bool upper = threadIdx.x & Mask;
#pragma unroll
            for (int i = 0; i < Count / 2; i++) {
                const float low = value[i], high = value[i + Count / 2];    // by value, else an address is chosen, and registers have none
                value[i] = (upper ? high : low) + shuffle_xor(upper ? low : high, Mask);
            }
        } else {
            value[0] += shuffle_xor(value[0], Mask);
        }
        if constexpr (Mask > 1) fold<(Count > 1 ? Count / 2 : 1), Mask / 2>(value);
    }
};

// A lane's pieces of kAtOnce rows.
struct Rows {
    Piece at[kAtOnce][kSteps];
    template <class Place> DEVICE void load(int first, Place place) {
#pragma unroll
        for (int u = 0; u < kAtOnce; u++) load_row(place(first + u), threadIdx.x % kRowLanes, at[u]);
    }
};

// A lane's part of a unit's queries, turned by so many positions and scaled: pieces lane, lane + kRowLanes, ...
struct Form {
    float x[R][kSteps][kPiece];
    // queries [R, D]; angles [positions, D]: cosines, then sines.
    DEVICE Form(const T* queries, const float* angles, int distance, float scale) {
        constexpr int half = D / 2;
        const float *cos = angles + (long long)distance * D, *sin = cos + half;
#pragma unroll
        for (int s = 0; s < kSteps; s++) {
            const int piece = threadIdx.x % kRowLanes + s * kRowLanes, c = piece * kPiece;
            if (piece >= kPieces) {
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int i = 0; i < kPiece; i++) x[r][s][i] = 0;
            } else if constexpr (half % kPiece == 0) {                      // a piece's partners are a piece
                const bool upper = c >= half;
                const int at = upper ? c - half : c, other = upper ? c - half : c + half;
                float cosine[kPiece], sine[kPiece];
#pragma unroll
                for (int i = 0; i < kPiece; i += 4) {
                    const Piece a = load_piece(cos + at + i), b = load_piece(sin + at + i);
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        cosine[i + j] = as_float(a.words[j]) * scale;
                        sine[i + j] = as_float(b.words[j]) * (upper ? scale : -scale);
                    }
                }
#pragma unroll
                for (int r = 0; r < R; r++) {
                    float a[kPiece], b[kPiece];
                    widen<T>(load_piece(queries + r * D + c), a);
                    widen<T>(load_piece(queries + r * D + other), b);
#pragma unroll
                    for (int i = 0; i < kPiece; i++) x[r][s][i] = a[i] * cosine[i] + b[i] * sine[i];
                }
            } else {
#pragma unroll
                for (int i = 0; i < kPiece; i++) {
                    const bool upper = c + i >= half;
                    const int at = upper ? c + i - half : c + i, other = upper ? c + i - half : c + i + half;
                    const float cosine = cos[at] * scale, sine = sin[at] * (upper ? scale : -scale);
#pragma unroll
                    for (int r = 0; r < R; r++)
                        x[r][s][i] = to_float(queries[r * D + c + i]) * cosine + to_float(queries[r * D + other]) * sine;
                }
            }
        }
    }
    // The lane's part of the scores of its rows.
    DEVICE void dot(const Rows& rows, float (&score)[kValues]) const {
#pragma unroll
        for (int i = 0; i < kValues; i++) score[i] = 0;
#pragma unroll
        for (int u = 0; u < kAtOnce; u++)
#pragma unroll
            for (int s = 0; s < kSteps; s++) {
                float y[kPiece];
                widen<T>(rows.at[u][s], y);
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int i = 0; i < kPiece; i++) score[r * kAtOnce + u] += x[r][s][i] * y[i];
            }
    }
};

#endif
