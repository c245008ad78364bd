#include "reference.h"
#include "landmark_backward_sm90.cu"

int main(int count, char **arguments) {
    return run_cases(count, arguments, D, L, [](const Reference &r) {
        std::vector<u16> dq(r.q.size(), 0x7fc0), dk(r.k.size(), 0x7fc0), dv(r.v.size(), 0x7fc0);
        const int blocks = r.blocks, tiles = (r.queries + ROWS - 1) / ROWS, groups = r.batch * r.groups;
        const Shape shape { r.heads, r.groups, r.queries, r.keys, L - r.first, tiles, (blocks + TILE_BLOCKS - 1) / TILE_BLOCKS,
            groups - 1, groups, blocks, 2 * blocks, 1 / sqrtf(D), 1 / sqrtf(D) * 1.44269504f, r.dropout };
        std::vector<u16> out(r.out.size());
        for (size_t i = 0; i < out.size(); i++) out[i] = narrow(r.out[i]);
        std::vector<float> delta(r.delta.size(), NAN);
        const long long head = (long long)r.queries * D;
        const Rows rows { (long long)delta.size(), r.heads * head, head, D, r.heads * head, head, D, r.heads, r.queries };
        run_grid({ (u32)(delta.size() + 7) / 8, 1, 1 }, 256, [&] { landmark_delta((const T *)out.data(), (const T *)r.g.data(), r.log_sum_gradient.data(), delta.data(), rows); });
        std::vector<float> parts((size_t)r.batch * r.heads * tiles * CHUNKS * PARTS, NAN);
        std::vector<u32> turns(r.batch * r.heads * tiles * CHUNKS);
        u32 ticket = 0;
        const auto q = r.query_map(r.q, ROWS), g = r.query_map(r.g, ROWS), k = r.key_map(r.k, C), v = r.key_map(r.v, C);
        run_grid({ (u32)(groups * shape.keyTiles), 1, 1 }, 384, [&] {
                landmark_backward_sm90(q, k, v, g, r.log_sum.data(), delta.data(), r.packed ? r.documents.data() : nullptr, r.choices.data(), (T *)dk.data(), (T *)dv.data(),
                    parts.data(), turns.data(), &ticket, shape);
            });
        run_grid({ (u32)(r.batch * r.heads * tiles), 1, 1 }, 256, [&] { landmark_query_gradient(parts.data(), (T *)dq.data(), shape); });
        // No short cut: all three are told.
        return close("dq", dq, r.dq) & close("dk", dk, r.dk) & close("dv", dv, r.dv);
    });
}
