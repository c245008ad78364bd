// What the forward kernel and the gradient of queries know of a row of scores that a warp multiplied: which columns of a block it
// sees, and the block's softmax. A tile has NB whole blocks of C columns each, or, where a block has CHUNKS chunks, C columns of one.
#ifndef LANDMARK_MMA_GATES
#define LANDMARK_MMA_GATES
#include "gates.cuh"
#include "mma_tiles.cuh"

constexpr int L = BLOCK, C = COLUMNS, NB = TILE_BLOCKS, N = NB * C;
constexpr int kThreads = WARPS * kWarp, kRows = 16 * WARPS;     // queries of a thread block, 16 for each warp
constexpr int kTileBytes = N * kRowBytes, kQueryBytes = kRows * kRowBytes;
constexpr int kLandmark = L - 1 - (CHUNKS - 1) * C;             // column of the landmark, in the last chunk
constexpr bool kWhole = CHUNKS == 1;

// Strides of a tensor [batch, heads, positions, D], in elements.
struct Strides { long long batch, head; int position; };
DEVICE long long place(const Strides& s, int batch, int head) { return batch * s.batch + head * s.head; }

struct Shape {
    int heads, groups, queries, keys, pad;
    int blocks, documentRow;                                // of the sequence; numbers in a row of documents
    int first, rows, tiles;                                 // queries at hand: from the first on, so many, and in tiles
    float scale, scaleLog2;
    Strides query, key, value, out;
    Dropout dropout;
};

// A row of queries: its document's first block, its own block, and its column in that.
struct Row { int start, own, column; u32 random; };
DEVICE Row row_at(int query, long long row, const int* documents, int batch, const Shape& shape) {
    const int at = query + shape.keys - shape.queries + shape.pad;
    return { document(documents, shape, batch, at / L), at / L, at % L, random_of_row(shape.dropout, row) };
}

// Offsets of positions in a row, from a first one on: zeros where there are none.
DEVICE auto rows_of(int first, int end, int stride) {
    return [=](int row) { return first + row >= 0 && first + row < end ? (long long)(first + row) * stride : -1ll; };
}
// Offsets of a chunk's keys or values: zeros in columns that have no key.
DEVICE auto keys_of(int tile, int chunk, int stride, const Shape& shape) {
    const int first = tile * NB * L - shape.pad + (kWhole ? 0 : chunk * C), width = kWhole ? L : L - chunk * C, end = shape.keys;
    return [=](int row) {
        const int column = kWhole ? row % C : row, position = first + column + (kWhole ? row / C * L : 0);
        return column < width && position >= 0 && position < end ? (long long)position * stride : -1ll;
    };
}

// The softmax of a row over a block's columns or some of them: the greatest score, times scale, and the sum relative to it.
struct Inside {
    float top, sum;
    DEVICE float base() const { return top == -infinity() ? 0 : top; }
    DEVICE bool empty() const { return sum == 0; }
};

// Makes the scores of block b of a tile exponentials relative to their greatest. Edge: not every row sees every token.
template <bool Edge> DEVICE Inside inside(
    float (&s)[N / 8][4], int r, int b, int chunk, int block, const Row& row, const u8* choice, const Shape& shape)
{
    constexpr int J = C / 8;
    const bool own = block == row.own;
    const int from = (block == 0 ? shape.pad : 0) - chunk * C;
    int to = own ? smaller(row.column + 1, L - 1) : block < row.own && block >= row.start ? L - 1 : 0;
    if (kChoice && !choice[own ? shape.blocks : smaller(block, shape.blocks - 1)]) to = 0;
    to -= chunk * C;
    float top = -infinity(), sum = 0;
#pragma unroll
    for (int j = 0; j < J; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float& x = s[b * J + j][2 * r + e];
            const int column = 8 * j + lane_index() % 4 * 2 + e;
            if (Edge ? column < from || column >= to : 8 * j + 6 + e >= L - 1 && column >= L - 1) x = -infinity();
            top = larger(top, x);
        }
    Inside a;
    top = warp_max<4>(top);
    a.top = top == -infinity() ? top : top * shape.scaleLog2;
#pragma unroll
    for (int j = 0; j < J; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float& x = s[b * J + j][2 * r + e];
            x = power_of_2(multiply_add(x, shape.scaleLog2, -a.base()));
            sum += x;
        }
    a.sum = warp_sum<4>(sum);
    return a;
}

// The landmark's score, before scale, of block b of a tile or of a block's last chunk.
DEVICE float landmark_score(const float (&s)[N / 8][4], int r, int b) {
    return shuffle(s[b * (C / 8) + kLandmark / 8][2 * r + kLandmark % 2], lane_index() / 4 * 4 + kLandmark % 8 / 2);
}

// Whether some row of a warp's 16, from a query on, does not see every token of every block of a tile.
DEVICE bool is_edge(int tile, int query, const int* documents, int batch, const Shape& shape) {
    const int shift = shape.keys - shape.queries + shape.pad, block = tile * NB;
    return kChoice || !kWhole || block + NB > (query + shift) / L || (block == 0 && shape.pad > 0)
        || document(documents, shape, batch, (query + 15 + shift) / L) > block;
}

#endif
