#include "reference.h"
#include "landmark_forward_sm90.cu"

int main(int count, char **arguments) {
    return run_cases(count, arguments, D, L, [](const Reference &r) {
        std::vector<u16> out(r.q.size(), 0x7fc0);
        std::vector<float> log_sum(r.log_sum.size(), NAN);
        const int heads = r.batch * r.heads;
        const Shape shape { r.heads, r.groups, r.queries, r.keys, L - r.first, (r.queries + ROWS - 1) / ROWS, heads - 1, heads, r.blocks, 2 * r.blocks,
            (long long)r.heads * r.queries * D, (long long)r.queries * D, D, 1 / sqrtf(D) * 1.44269504f, r.dropout };
        const auto q = r.query_map(r.q, ROWS), k = r.key_map(r.k, PADDED ? C : N), v = r.key_map(r.v, PADDED ? C : N);
        u32 tickets[2] = {};
        run_grid({ (u32)(heads * shape.queryTiles + 1) / 2, 1, 1 }, 384, [&] { landmark_forward_sm90(q, k, v, (T *)out.data(), log_sum.data(), r.packed ? r.documents.data() : nullptr, r.choices.data(), tickets, shape); });
        return close("out", out, r.out) & close_sums(log_sum, r.log_sum) && tickets[0] == 0 && tickets[1] == 0;
    });
}
