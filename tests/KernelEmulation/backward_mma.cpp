#include "reference.h"
#include "landmark_backward_mma.cu"

int main(int count, char **arguments) {
    return run_cases(count, arguments, D, L, [](const Reference &r) {
        std::vector<u16> dq(r.q.size(), 0x7fc0), dk(r.k.size(), 0x7fc0), dv(r.v.size(), 0x7fc0), out(r.out.size());
        for (size_t i = 0; i < out.size(); i++) out[i] = narrow(r.out[i]);
        std::vector<float> delta(r.delta.size(), NAN);
        const long long head = (long long)r.queries * D, keyHead = (long long)r.keys * D;
        const Rows all { (long long)delta.size(), r.heads * head, head, D, r.heads * head, head, D, r.heads, r.queries };
        run_grid({ (u32)(delta.size() + 7) / 8, 1, 1 }, 256, [&] {
            landmark_delta((const T *)out.data(), (const T *)r.g.data(), r.log_sum_gradient.data(), delta.data(), all);
        });
        const Strides rows { r.heads * head, head, D }, keys { r.groups * keyHead, keyHead, D };
        const int keyTiles = (r.keys + L - r.first + kKeys - 1) / kKeys, most = 128;
        const auto documents = r.packed ? r.documents.data() : nullptr;
        std::vector<float> sums(2 * dk.size(), NAN);
        // At most so many queries at a time: the last ones first.
        for (int last = (r.queries + most - 1) / most - 1, range = last; range >= 0; range--) {
            const int first = range * most, tiles = (std::min(most, r.queries - first) + kRows - 1) / kRows;
            Shape shape { r.heads, r.groups, r.queries, r.keys, L - r.first, r.blocks, 2 * r.blocks, first, most, tiles,
                1 / sqrtf(D), 1 / sqrtf(D) * 1.44269504f, rows, keys, keys, rows, r.dropout };
            std::vector<Slope> slopes((size_t)r.batch * r.heads * r.blocks * 2 * most, Slope { NAN, NAN });
            shared_memory.assign(2 * kQueryBytes + 2 * kTileBytes, 0);
            run_grid({ (u32)(r.batch * r.heads * tiles), 1, 1 }, kThreads, [&] {
                landmark_backward_queries((const T *)r.q.data(), (const T *)r.k.data(), (const T *)r.v.data(), (const T *)r.g.data(), r.log_sum.data(),
                    delta.data(), documents, r.choices.data(), (T *)dq.data(), slopes.data(), shape);
            });
            shape.tiles = keyTiles;
            shared_memory.assign(2 * kKeyBytes + STAGES * kStageBytes + (SPLIT > 1 ? 2 * kKeys * kExchangeRow : 0), 0);
            run_grid({ (u32)(r.batch * r.groups * keyTiles), 1, 1 }, kKeyThreads, [&] {
                landmark_backward_keys((const T *)r.q.data(), (const T *)r.k.data(), (const T *)r.v.data(), (const T *)r.g.data(), slopes.data(),
                    documents, (T *)dk.data(), (T *)dv.data(), sums.data(), range < last, range > 0, shape);
            });
        }
        // No short cut: all three are told.
        return close("dq", dq, r.dq) & close("dk", dk, r.dk) & close("dv", dv, r.dv);
    });
}
