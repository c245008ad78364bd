// Landmark attention and its gradients in float64, one row at a time, straight from landmark-attention.md 1.3 and 1.5.
#pragma once
#include "emulation.h"
#include "gates.cuh"
#include <algorithm>
#include <random>

struct Reference {
    int batch, heads, groups, keys, queries, first, D, L;
    std::vector<u16> q, k, v, g;                            // g: the output's gradient
    std::vector<double> out, dq, dk, dv;
    std::vector<float> log_sum, delta;                      // log_sum to the base 2
    std::vector<int> documents;                             // [batch, 2, blocks]: the first block of each block's, the first after it
    std::vector<u8> choices;                                // [batch, blocks + 1]: whether a gate has the block; last, the own one
    std::vector<float> log_sum_gradient;                    // to the base e
    Dropout dropout { 12345, kDropout ? 1u << 30 : 0, kDropout ? 4 / 3.f : 1 };
    int blocks, packed;

    Reference(int heads, int groups, int keys, int queries, int first, int packed, int D, int L)
        : batch(2), heads(heads), groups(groups), keys(keys), queries(queries), first(first), D(D), L(L),
          blocks((keys + L - first + L - 1) / L), packed(packed) {
        std::mt19937 random(keys * 31 + queries * 7 + first);
        documents.resize(batch * 2 * blocks);
        for (int b = 0; b < batch; b++) {
            std::vector<int> starts { 0, blocks };
            for (int i = 1; i < packed; i++) starts.push_back(random() % blocks);
            std::sort(starts.begin(), starts.end());
            for (int i = 0; i < blocks; i++) {
                auto next = std::upper_bound(starts.begin(), starts.end(), i);
                documents[b * 2 * blocks + i] = next[-1], documents[(b * 2 + 1) * blocks + i] = *next;
            }
        }
        std::normal_distribution<float> normal;
        auto make = [&](int n, float size) {
            std::vector<u16> x((size_t)batch * n * D);
            for (auto &e : x) e = narrow(normal(random) * size);
            return x;
        };
        q = make(heads * queries, 1.5f), k = make(groups * keys, 1), v = make(groups * keys, 1), g = make(heads * queries, 1);
        out.resize(q.size()), dq.resize(q.size()), dk.resize(k.size()), dv.resize(v.size());
        choices.assign(batch * (blocks + 1), 1);
        if (kChoice) {
            for (auto &x : choices) x = random() % 3 > 0;
            choices[blocks] = 0, choices[2 * blocks + 1] = 1;
        }
        log_sum_gradient.resize(batch * heads * queries);
        if (kChoice) for (auto &x : log_sum_gradient) x = normal(random);
        log_sum.resize(batch * heads * queries), delta.resize(batch * heads * queries);
        for (int row = 0; row < batch * heads * queries; row++) attend(row);
    }

    void attend(int row) {
        const int t = row % queries, head = row / queries, group = head / heads * groups + head % heads / (heads / groups);
        const int i = keys - queries + t, pad = L - first, own = (i + pad) / L;
        auto block = [&](int j) { return (j + pad) / L; };
        auto landmark = [&](int j) { return (j + pad) % L == L - 1; };
        auto x = [&](const std::vector<u16> &a, size_t r, int c) { return (double)widen(a[r * D + c]); };
        const size_t base = (size_t)group * keys;
        const u8 *choice = &choices[head / heads * (blocks + 1)];
        const u32 number = random_of_row(dropout, row);
        auto in_gate = [&](int b) { return choice[b == own ? blocks : b]; };
        auto kept = [&](int b) { return b == own ? 1 : keep(dropout, number, b); };
        const int begin = std::max(0, documents[head / heads * 2 * blocks + own] * L - pad);
        std::vector<double> s(i + 1), dw(i + 1), a(i + 1), w(i + 1), ds(i + 1), sum(own + 1), gate(own + 1), mean(own + 1);
        for (int j = 0; j <= i; j++)
            for (int c = 0; c < D; c++) {
                s[j] += x(q, row, c) * x(k, base + j, c) / sqrt(D);
                dw[j] += x(g, row, c) * x(v, base + j, c);
            }
        double top = -INFINITY, total = 0, product = 0;
        for (int j = begin; j <= i; j++) top = fmax(top, s[j]);
        for (int j = begin; j <= i; j++) if (!landmark(j) && in_gate(block(j))) sum[block(j)] += exp(s[j] - top);
        for (int j = begin; j <= i; j++) if (landmark(j) && block(j) < own && sum[block(j)] > 0) total += gate[block(j)] = exp(s[j] - top);
        total += gate[own] = sum[own];
        log_sum[row] = total > 0 ? (top + log(total)) / log(2) : INFINITY;
        if (total == 0) return;
        for (auto &p : gate) p /= total;
        for (int j = begin; j <= i; j++) {
            if (landmark(j) || !in_gate(block(j))) continue;
            a[j] = exp(s[j] - top) / sum[block(j)], w[j] = gate[block(j)] * kept(block(j)) * a[j];
            mean[block(j)] += a[j] * dw[j], product += w[j] * dw[j];
            for (int c = 0; c < D; c++) out[(size_t)row * D + c] += w[j] * x(v, base + j, c);
        }
        delta[row] = product -= log_sum_gradient[row];
        for (int j = begin; j <= i; j++) {
            const int b = block(j);
            ds[j] = !landmark(j) ? w[j] * (dw[j] - (b == own ? product : mean[b])) : b < own ? gate[b] * (kept(b) * mean[b] - product) : 0;
            for (int c = 0; c < D; c++) {
                dq[(size_t)row * D + c] += ds[j] * x(k, base + j, c) / sqrt(D);
                dk[(base + j) * D + c] += ds[j] * x(q, row, c) / sqrt(D);
                dv[(base + j) * D + c] += w[j] * x(g, row, c);
            }
        }
    }

    TensorMap query_map(const std::vector<u16> &x, int rows) const {
        return { x.data(), { D, queries, heads, batch }, { 1, D, (long)queries * D, (long)heads * queries * D }, rows };
    }
    TensorMap key_map(const std::vector<u16> &x, int rows) const {
        return { x.data(), { D, keys, groups, batch }, { 1, D, (long)keys * D, (long)groups * keys * D }, rows };
    }
};

// Root mean square of the difference, over the reference's.
inline bool close(const char *name, const std::vector<u16> &x, const std::vector<double> &expected) {
    double wrong = 0, size = 0;
    for (size_t i = 0; i < x.size(); i++) wrong += pow(widen(x[i]) - expected[i], 2), size += expected[i] * expected[i];
    const double error = sqrt(wrong / size);
    printf(" %s %.4f", name, error);
    return error < 5e-3;
}

inline bool close_sums(const std::vector<float> &x, const std::vector<float> &expected) {
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++)
        if (x[i] != expected[i]) worst = fmax(worst, std::isnan(x[i]) ? INFINITY : fabs(x[i] - expected[i]));
    printf(" log-sum %.6f", worst);
    return worst < 1e-3;
}

// Cases on the command line: "heads groups keys queries first" and, if there are some, how many documents are packed; for the shape
// that was compiled.
template <class Run> int run_cases(int count, char **arguments, int D, int L, Run run) {
    bool good = true;
    for (int i = 1; i < count; i++) {
        int heads, groups, keys, queries, first, packed = 0;
        if (sscanf(arguments[i], "%d %d %d %d %d %d", &heads, &groups, &keys, &queries, &first, &packed) < 5) return 2;
        printf("d %d L %d, %s:", D, L, arguments[i]);
        const bool passed = run(Reference(heads, groups, keys, queries, first, packed, D, L));
        puts(passed ? "" : " WRONG");
        good &= passed;
    }
    return good ? 0 : 1;
}
