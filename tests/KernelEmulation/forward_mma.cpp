#include "reference.h"
#include "landmark_forward_mma.cu"

int main(int count, char **arguments) {
    return run_cases(count, arguments, D, L, [](const Reference &r) {
        std::vector<u16> out(r.q.size(), 0x7fc0);
        std::vector<float> log_sum(r.log_sum.size(), NAN);
        const int tiles = (r.queries + kRows - 1) / kRows;
        const long long head = (long long)r.queries * D, keyHead = (long long)r.keys * D;
        const Strides rows { r.heads * head, head, D }, keys { r.groups * keyHead, keyHead, D };
        const Shape shape { r.heads, r.groups, r.queries, r.keys, L - r.first, r.blocks, 2 * r.blocks, 0, r.queries, tiles,
            1 / sqrtf(D), 1 / sqrtf(D) * 1.44269504f, rows, keys, keys, rows, r.dropout };
        shared_memory.resize(kQueryBytes + 2 * kTileBytes);
        run_grid({ (u32)(r.batch * r.heads * tiles), 1, 1 }, kThreads, [&] {
            landmark_forward_mma((const T *)r.q.data(), (const T *)r.k.data(), (const T *)r.v.data(), (T *)out.data(), log_sum.data(),
                r.packed ? r.documents.data() : nullptr, r.choices.data(), shape);
        });
        return close("out", out, r.out) & close_sums(log_sum, r.log_sum);
    });
}
