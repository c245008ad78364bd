// Which gates count, the same in the forward and in the backward pass.
#ifndef LANDMARK_GATES
#define LANDMARK_GATES
#include "common.cuh"
#include "random.cuh"

// PACKED: documents are packed. CHOICE: some blocks are in no gate. DROPOUT: a query's gate of an earlier block is dropped when its random number is below a
// threshold; those left are worth more in return.
#ifdef PACKED
constexpr bool kPacked = true;
#else
constexpr bool kPacked = false;
#endif
#ifdef CHOICE
constexpr bool kChoice = true;
#else
constexpr bool kChoice = false;
#endif
#ifdef DROPOUT
constexpr bool kDropout = true;
#else
constexpr bool kDropout = false;
#endif

// The first block of a block's document, and the first after it; documents [rows of the batch or 1, 2, blocks], see BlockLayout.
// A Shape has the sequence's blocks and the numbers from one row to the next. Queries beyond the last count as its.
template <class Shape> DEVICE int document(const int* documents, const Shape& shape, int batch, int block) {
    return kPacked ? documents[batch * shape.documentRow + smaller(block, shape.blocks - 1)] : 0;
}
template <class Shape> DEVICE int document_end(const int* documents, const Shape& shape, int batch, int block) {
    return kPacked ? documents[batch * shape.documentRow + shape.blocks + smaller(block, shape.blocks - 1)] : shape.blocks;
}

struct Dropout { u32 seed, threshold; float kept; };

DEVICE u32 random_of_row(const Dropout& dropout, long long row) {
    return mixed(mixed(dropout.seed ^ (u32)row) + (u32)((u64)row >> 32));
}
DEVICE float keep(const Dropout& dropout, u32 random, int block) {
    return mixed(random + (u32)block * 0x9e3779b9u) < dropout.threshold ? 0 : dropout.kept;
}

#endif
