// What the kernels of prefill share: where queries and windows stand, queries turned into forms, tiles of 64 rows of which each
// warp has 16. Compile-time: ELEMENT (bf16 or f16), HEAD_DIM (a multiple of 16), BLOCK = L.
#ifndef LANDMARK_PREFILL
#define LANDMARK_PREFILL
#include "mma_tiles.cuh"

constexpr int L = BLOCK, kTokens = L - 1;
constexpr int kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kRows = 16 * kWarps;                          // of a tile: a product's 16 for each warp
constexpr int kColumns = (L + 15) / 16 * 16;                // of a block: keys, its landmark, zeros
constexpr int kTileBytes = kRows * kRowBytes, kBlockBytes = kColumns * kRowBytes;

// ---- Places ------------------------------------------------------------------------------------------------------------

// Query t of T stands at position before + t, counted from the first window's start.
struct Sizes {
    int heads, groups, queries, topK;
    int chosenHeads;                                        // heads that share a choice
    int perWindow;                                          // whether a window's queries share one too
    int choices;                                            // of a set of such heads: windows or queries
    int tied;                                               // landmarks of slot 0 have one key
    int inMemory;                                           // blocks before the first window
    int windowBlocks, before;
    long long queryHead, queryPosition, landmarkGroup;      // strides, in elements
    float scale;                                            // of scores, times log2 e
    float enough;                                           // a choice ends when it has so much of the softmax; never from 1 on
    float cutoff;                                           // a context-miss token's mass below which nothing is retrieved
};

struct Window {
    int inMemory, taken, old;                               // blocks before it, those that are read, those in slot 0
    DEVICE Window(int index, const Sizes& z)
        : inMemory(z.inMemory + index * z.windowBlocks), taken(smaller(z.topK, inMemory)), old(inMemory - taken) {}
};

// How many of its chosen blocks a query reads, the first ones; reads [H, T] is null where all there are up to k.
DEVICE int reads_of(const int* reads, int head, int query, const Window& window, const Sizes& z) {
    return reads ? reads[(long long)head * z.queries + query] : window.taken;
}

DEVICE int window_of(int query, const Sizes& z) { return (z.before + query) / (z.windowBlocks * L); }
DEVICE int place_of(int query, const Sizes& z) { return (z.before + query) % (z.windowBlocks * L); }

// 64 queries of one window, the first at a place of it; those from begin to end are wanted.
struct Tile {
    int window, place, query, begin, end;
    DEVICE bool has(int row) const { return row >= begin && row < end; }
};
DEVICE int tiles_of_window(const Sizes& z) { return (z.windowBlocks * L + kRows - 1) / kRows; }
DEVICE Tile tile_at(int index, int from, int to, const Sizes& z) {
    const int length = z.windowBlocks * L;
    Tile tile;
    tile.window = index / tiles_of_window(z);
    tile.place = index % tiles_of_window(z) * kRows;
    tile.query = tile.window * length + tile.place - z.before;
    tile.begin = from > tile.query ? from - tile.query : 0;
    tile.end = smaller(smaller(kRows, length - tile.place), to - tile.query);
    return tile;
}

// A pair is a chosen block of a query: pair = (head * T + t) * topK + rank, heads counted from the first of those at hand. A
// list holds the pairs of one block and key-value head: list = group * mostBlocks + block, groups counted likewise. A tile of
// it is some of its pairs.
struct Pairs { int firstHead, count, lists, mostBlocks; };
constexpr int kTilePairs = 4 * kRows;
struct ListTile { int list, first, count; };

// ---- Rows to shared memory ---------------------------------------------------------------------------------------------

// A tile's rows: where they come from, null for zeros, and how far each is turned.
struct Rows { const T* from[kRows]; int distance[kRows]; };

// Those of a tile of queries, which are turned as far as they stand after the first one's distance.
template <class From> DEVICE void fill_rows(Rows& rows, const Tile& tile, int distance, From from) {
    const int row = threadIdx.x;
    if (row < kRows) rows.from[row] = tile.has(row) ? from(row) : nullptr, rows.distance[row] = distance + row;
}

DEVICE Quad pack_piece(const float (&x)[8]) {
    return { { pack<T>(x[0], x[1]), pack<T>(x[2], x[3]), pack<T>(x[4], x[5]), pack<T>(x[6], x[7]) } };
}
// What rounding takes away.
DEVICE Quad pack_rest(const float (&x)[8], const Quad& rounded) {
    const T* y = (const T*)&rounded;
    float rest[8];
#pragma unroll
    for (int i = 0; i < 8; i++) rest[i] = x[i] - to_float(y[i]);
    return pack_piece(rest);
}

// R(distance - back) x: the pair (x_c, x_{c + D/2}) by angle c. angles [distances, D]: D/2 cosines, D/2 sines. With Rest the
// sum of the rows at `to` and at `rest` has twice a 16-bit number's digits.
template <bool Rest> DEVICE void turn_rows(u32 to, u32 rest, const Rows& rows, int back, const float* angles) {
    constexpr int kHalf = kPieces / 2;
#pragma unroll 2
    for (int step = 0; step < (kRows * kHalf + kThreads - 1) / kThreads; step++) {
        const int i = step * kThreads + threadIdx.x, row = i / kHalf, piece = i % kHalf;
        if (row >= kRows) continue;
        const int distance = rows.distance[row] - back;
        float low[8] = {}, high[8] = {};
        if (rows.from[row] && distance >= 0) {
            const Quad a = ((const Quad*)rows.from[row])[piece], b = ((const Quad*)rows.from[row])[piece + kHalf];
            const float* from = angles + (long long)distance * D + 8 * piece;
            const Quad cos[2] = { ((const Quad*)from)[0], ((const Quad*)from)[1] };
            const Quad sin[2] = { ((const Quad*)(from + D / 2))[0], ((const Quad*)(from + D / 2))[1] };
#pragma unroll
            for (int j = 0; j < 8; j++) {
                const float x = to_float(((const T*)&a)[j]), y = to_float(((const T*)&b)[j]);
                const float c = as_float(cos[j / 4].x[j % 4]), s = as_float(sin[j / 4].x[j % 4]);
                low[j] = x * c - y * s;
                high[j] = y * c + x * s;
            }
        }
        const Quad a = pack_piece(low), b = pack_piece(high);
        const u32 at = row * kRowBytes + piece * 16;
        store_shared(to + at, a);
        store_shared(to + at + D, b);
        if (Rest) store_shared(rest + at, pack_rest(low, a)), store_shared(rest + at + D, pack_rest(high, b));
    }
}

// A block's keys of a key-value head; its values come behind them.
DEVICE const T* block_at(const T* blocks, int block, int group, const Sizes& z) {
    return blocks + ((long long)block * z.groups + group) * 2 * kTokens * D;
}

// The first `count` of a block's rows, then one other row if there is one, then zeros; in the background.
DEVICE void load_block(u32 to, const T* rows, int count, const T* other) {
#pragma unroll 4
    for (int step = 0; step < (kColumns * kPieces + kThreads - 1) / kThreads; step++) {
        const int i = step * kThreads + threadIdx.x, row = i / kPieces, piece = i % kPieces;
        if (row >= kColumns) continue;
        // Of nothing, too, an address that is there: ptxas 13.0 adds the piece to a null pointer for heads of 48 elements.
        const bool marked = row == kTokens && other, there = row < count || marked;
        const T* from = marked ? other : rows + (there ? row : 0) * D;
        copy_async(to + row * kRowBytes + piece * 16, from + piece * 8, there ? 16 : 0);
    }
}

// ---- A warp's 16 rows of a tile ----------------------------------------------------------------------------------------

// The row of the tile that a lane has in registers 2r, 2r+1 of four.
DEVICE int row_of(int r) { return warp_index() * 16 + lane_index() / 4 + 8 * r; }

// The address of the warp's rows of a tile.
DEVICE u32 rows_at(u32 tile) { return tile + warp_index() * 16 * kRowBytes; }

// The softmax inside a block (1.3, A_b) of the lane's row r over its first `limit` tokens, before division by the sum:
// s becomes 2^(scale s - top). A row that sees nothing has no top: sum 0.
struct Inside { float top, sum, landmark; };
DEVICE Inside inside(float (&s)[kColumns / 8][4], int r, int limit, float scale) {
    const int column = lane_index() % 4 * 2;
    Inside a;
    a.landmark = scale * shuffle(s[kTokens / 8][2 * r + kTokens % 2], lane_index() / 4 * 4 + kTokens % 8 / 2);
    float top = -infinity();
#pragma unroll
    for (int n = 0; n < kColumns / 8; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float& x = s[n][2 * r + e];
            if (8 * n + column + e >= limit) x = -infinity();
            top = larger(top, x);
        }
    top = warp_max<4>(top);
    a.top = top == -infinity() ? 0 : top * scale;
    a.sum = 0;
#pragma unroll
    for (int n = 0; n < kColumns / 8; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float& x = s[n][2 * r + e];
            x = power_of_2(multiply_add(x, scale, -a.top));
            a.sum += x;
        }
    a.sum = warp_sum<4>(a.sum);
    return a;
}

// Of a block of the window that starts so many positions before a query: the tokens that it sees, and what the block brings to the
// gate (1.3); -infinity where the query stands before it.
DEVICE int seen(int place) { return place < 0 ? 0 : place < L ? smaller(place + 1, kTokens) : kTokens; }
DEVICE float gate_logit(const Inside& a, int place) {
    return a.sum == 0 ? -infinity() : place < L ? a.top + log_2(a.sum) : a.landmark;
}

// A row's gate while its blocks go by: the greatest logit so far, and the sum relative to it.
struct Gate {
    float greatest, sum;
    DEVICE Gate() : greatest(-infinity()), sum(0) {}
    DEVICE float raise(float logit) {
        const float most = larger(greatest, logit), keep = most == -infinity() ? 1 : power_of_2(greatest - most);
        greatest = most;
        sum *= keep;
        return keep;
    }
    DEVICE float share(float logit) const { return logit == -infinity() ? 0 : power_of_2(logit - greatest); }
};

// The warp's sums, times a weight for each row, to memory: through shared memory, so that rows are written whole. to(row) is
// null for none.
template <class To> DEVICE void write_rows(const float (&o)[D / 8][4], const float (&weight)[2], u32 room, To to) {
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            store_shared(room + row_of(r) * kRowBytes + n * 16 + lane_index() % 4 * 4,
                         pack<T>(o[n][2 * r] * weight[r], o[n][2 * r + 1] * weight[r]));
    warp_sync();
    for (int i = lane_index(); i < 16 * kPieces; i += kWarp) {
        const int row = warp_index() * 16 + i / kPieces, piece = i % kPieces;
        T* row_at = to(row);
        if (row_at) ((Quad*)row_at)[piece] = load_shared_quad(room + row * kRowBytes + piece * 16);
    }
}

#endif
