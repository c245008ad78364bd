#include "reference.h"
#include "landmark_prefill_miss.cu"
#include "landmark_prefill_choose.cu"
#include "landmark_prefill_lists.cu"
#include "landmark_prefill.cu"

typedef ELEMENT Element;                            // main has a T of its own

// A text whose blocks are its own memory, window by window; every query in float64, straight from landmark-attention.md 3.
// cutoff: of a context-miss token, below 0 for none; mass: where choices end, 1 for never.
struct PrefillCase { int groups, shared, k, mode, tied, inMemory, windowBlocks, before, queries, chunk; double cutoff = -1, mass = 1; };

struct Prefill {
    PrefillCase c;
    int heads, length, blockCount;
    std::vector<u16> q, blocks, marks, miss;

    Prefill(const PrefillCase &c, int seed) : c(c), heads(c.groups * c.shared), length(c.windowBlocks * L) {
        const int lastWindow = (c.before + c.queries - 1) / length;
        blockCount = c.inMemory + (lastWindow + 1) * c.windowBlocks;
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        auto make = [&](size_t n, float size) { std::vector<u16> x(n); for (auto &e : x) e = narrow(normal(random) * size); return x; };
        q = make((size_t)heads * c.queries * D, 1.5f), miss = make((size_t)c.groups * D, 3);
        blocks = make((size_t)blockCount * c.groups * 2 * kTokens * D, 1), marks = make((size_t)c.groups * blockCount * D, 1);
        // The same key again and again: equal scores, to the last bit.
        for (int b = 2; b < blockCount; b += 3)
            for (int g = 0; g < c.groups; g++) memcpy(&marks[((size_t)g * blockCount + b) * D], &marks[((size_t)g * blockCount + 1) * D], D * 2);
        // What comes after the last query is not written yet.
        for (int g = 0; g < c.groups; g++)
            for (int position = c.before + c.queries; position < (lastWindow + 1) * length; position++) {
                const int block = c.inMemory + position / L, token = position % L;
                for (int i = 0; i < D; i++) {
                    if (token == kTokens) { marks[((size_t)g * blockCount + block) * D + i] = 0x7fc0; continue; }
                    u16 *at = key(block, g) + token * D + i;
                    at[0] = at[kTokens * D] = 0x7fc0;
                }
            }
    }
    u16 *key(int block, int group) { return &blocks[((size_t)block * c.groups + group) * 2 * kTokens * D]; }
    const u16 *mark(int block, int group) const { return &marks[((size_t)group * blockCount + block) * D]; }

    std::vector<double> form(int head, int t, int distance, const std::vector<float> &angles, bool round) const {
        std::vector<double> x(D);
        const u16 *from = &q[((size_t)head * c.queries + t) * D];
        for (int i = 0; i < D / 2; i++) {
            const float a = widen(from[i]), b = widen(from[i + D / 2]), cosine = angles[(size_t)distance * D + i], sine = angles[(size_t)distance * D + D / 2 + i];
            x[i] = round ? widen(narrow(a * cosine - b * sine)) : (double)a * cosine - (double)b * sine;
            x[i + D / 2] = round ? widen(narrow(b * cosine + a * sine)) : (double)b * cosine + (double)a * sine;
        }
        return x;
    }
    static double dot(const std::vector<double> &x, const u16 *row) {
        double s = 0;
        for (int i = 0; i < D; i++) s += x[i] * widen(row[i]);
        return s / sqrt(D);
    }

    // Where a query's chosen blocks stand, of [H / chosenHeads, choices, topK].
    static long long choice_of(int head, int t, const Sizes &z) {
        return ((long long)(head / z.chosenHeads) * z.choices + (z.perWindow ? window_of(t, z) : t)) * z.topK;
    }

    // What the blocks of a query's window bring to its gate, the own one last.
    std::vector<double> window_logits(int h, int t, const Sizes &z, const std::vector<float> &angles, bool round) {
        const Window w(window_of(t, z), z);
        const int place = place_of(t, z), own = place / L;
        std::vector<double> logits;
        for (int b = 0; b < own; b++) logits.push_back(dot(form(h, t, place - b * L, angles, round), mark(w.inMemory + b, h / c.shared)));
        double sum = 0;
        const auto x = form(h, t, place - own * L, angles, round);
        for (int j = 0; j < smaller(place % L + 1, kTokens); j++) sum += exp(dot(x, key(w.inMemory + own, h / c.shared) + j * D));
        logits.push_back(log(sum));
        return logits;
    }
    double token(int h, int t, const Sizes &z, const std::vector<float> &angles) const {
        const Window w(window_of(t, z), z);
        return dot(form(h, t, place_of(t, z) + smaller(w.inMemory, w.taken + 1) * L + 1, angles, false), &miss[h / c.shared * D]);
    }

    // Whether those retrieve that should, but for masses as good as the cut-off.
    bool dropped_well(const std::vector<int> &reads, u32 dropped, const Sizes &z, const std::vector<float> &angles) {
        u32 count = 0, all = 0;
        for (int h = 0; h < heads; h++)
            for (int t = 0; t < c.queries; t++) {
                double sum = 0;
                for (double l : window_logits(h, t, z, angles, false)) sum += exp(l);
                const double s = exp(token(h, t, z, angles)), mass = s / (s + sum);
                const int taken = Window(window_of(t, z), z).taken, found = reads[(size_t)h * c.queries + t];
                all += taken > 0, count += taken > 0 && found == 0;
                if (found != taken && found != 0) return false;
                if (taken > 0 && (found == 0) != (mass < c.cutoff) && fabs(mass - c.cutoff) > 1e-3) return false;
            }
        printf(" %u of %u dropped", count, all);
        return count == dropped;
    }

    // Whether nobody would choose otherwise: scores of all who share, then every choice, but for scores as good as equal.
    bool chosen_well(const std::vector<int> &chosen, const std::vector<int> &reads, const Sizes &z, const std::vector<float> &angles) const {
        auto retrieves = [&](int h, int t) { return c.cutoff < 0 || reads[(size_t)h * c.queries + t] > 0; };
        long long read = 0, all = 0;
        std::vector<std::vector<double>> scores((size_t)heads * c.queries);
        for (int h = 0; h < heads; h++)
            for (int t = 0; t < c.queries; t++) {
                const Window w(window_of(t, z), z);
                auto &s = scores[(size_t)h * c.queries + t];
                double sum = 0;
                for (int b = 0; b < w.inMemory; b++) {
                    const int slot = b < w.old ? 0 : b - w.old + 1;
                    s.push_back(dot(form(h, t, place_of(t, z) + (w.taken + 1 - slot) * L, angles, false), mark(c.tied && slot == 0 ? 0 : b, h / c.shared)));
                    sum += exp(s.back());
                }
                for (auto &x : s) x -= log(sum);
            }
        int close = 0;
        for (int h = 0; h < heads; h++)
            for (int t = 0; t < c.queries; t++) {
                const Window w(window_of(t, z), z);
                std::vector<const std::vector<double> *> sharing;
                for (int other = h / z.chosenHeads * z.chosenHeads; other < (h / z.chosenHeads + 1) * z.chosenHeads; other++)
                    for (int u = 0; u < c.queries; u++)
                        if ((u == t || (z.perWindow && window_of(u, z) == window_of(t, z))) && retrieves(other, u)) sharing.push_back(&scores[(size_t)other * c.queries + u]);
                std::vector<std::pair<double, int>> best;
                for (int b = 0; b < w.inMemory; b++) {
                    double most = -INFINITY;
                    for (const auto *s : sharing) most = fmax(most, (*s)[b]);
                    best.push_back({ most, b });
                }
                auto shared = best;
                std::sort(best.rbegin(), best.rend());
                const int *found = &chosen[choice_of(h, t, z)], there = c.k - std::count(found, found + c.k, -1);
                int count = sharing.empty() ? 0 : w.taken;
                if (c.mass < 1 && w.taken > 0) {
                    count = 1;
                    double near = INFINITY;
                    for (const auto *s : sharing) {
                        double sum = 0;
                        int n = 0;
                        while (n < w.taken && (n == 0 || sum < c.mass - 1e-6)) sum += exp((*s)[best[n++].second]), near = fmin(near, fabs(sum - c.mass));
                        count = std::max(count, n);
                    }
                    if (there != reads[(size_t)h * c.queries + t]) return false;
                    read += there, all += w.taken;
                    if (there != count) {
                        if (near > 1e-4) return false;
                        close++;
                        continue;
                    }
                }
                std::vector<int> expected;
                for (int i = 0; i < count; i++) expected.push_back(best[i].second);
                std::sort(expected.begin(), expected.end());
                expected.resize(c.k, -1);
                if (std::equal(expected.begin(), expected.end(), found)) continue;
                close++;
                if (there != count) return false;
                for (int i = 0; i < count; i++) {
                    if (found[i] < 0 || found[i] >= w.inMemory || (i > 0 && found[i] <= found[i - 1])) return false;
                    const double distance = best[count - 1].first - shared[found[i]].first;
                    // Equal to the last bit is no excuse.
                    const bool listed = std::count(expected.begin(), expected.end(), found[i]);
                    if (!listed && (distance > 1e-4 || distance == 0)) return false;
                }
            }
        if (close) printf(" (%d near)", close);
        if (all) printf(" %lld of %lld read", read, all);
        return close * 100 <= heads * c.queries;
    }

    std::vector<double> read(const std::vector<int> &chosen, const int *reads, const Sizes &z, const std::vector<float> &angles, std::vector<double> &gates) {
        std::vector<double> out((size_t)c.queries * heads * D);
        gates.assign((size_t)heads * c.queries * c.k, 0);
        for (int h = 0; h < heads; h++)
            for (int t = 0; t < c.queries; t++) {
                const Window w(window_of(t, z), z);
                const int place = place_of(t, z), own = place / L, count = reads_of(reads, h, t, w, z);
                std::vector<double> logits, parts;
                for (int i = 0; i < count + own + 1; i++) {
                    const int block = i < count ? chosen[choice_of(h, t, z) + i] : w.inMemory + i - count;
                    const bool is_own = i == count + own;
                    const int distance = i < count ? place + (w.taken + 1 - (block >= w.old ? i + 1 + w.taken - count : i)) * L : place - (i - count) * L;
                    const int tokens = is_own ? smaller(place % L + 1, kTokens) : kTokens;
                    const auto x = form(h, t, distance, angles, true);
                    std::vector<double> s(tokens), part(D);
                    double sum = 0;
                    const u16 *keys = key(block, h / c.shared);
                    for (int j = 0; j < tokens; j++) sum += s[j] = exp(dot(x, keys + j * D));
                    for (int j = 0; j < tokens; j++) for (int e = 0; e < D; e++) part[e] += s[j] / sum * widen(keys[(kTokens + j) * D + e]);
                    logits.push_back(is_own ? log(sum) : dot(x, mark(block, h / c.shared)));
                    parts.insert(parts.end(), part.begin(), part.end());
                }
                double window = 0, memory = 0;
                for (int i = 0; i < (int)logits.size(); i++) (i < count ? memory : window) += exp(logits[i]);
                const double missed = exp(token(h, t, z, angles)), mass = missed / (missed + window);
                for (int i = 0; i < (int)logits.size(); i++) {
                    const double gate = exp(logits[i]) * (c.cutoff < 0 ? 1 / (window + memory) : i < count ? mass / memory : (1 - mass) / window);
                    if (i < count) gates[((size_t)h * c.queries + t) * c.k + i] = gate;
                    for (int e = 0; e < D; e++) out[((size_t)t * heads + h) * D + e] += gate * parts[i * D + e];
                }
            }
        return out;
    }
};

int main(int count, char **arguments) {
    bool good = true;
    for (int i = 1; i < count; i++) {
        PrefillCase c;
        if (sscanf(arguments[i], "%d %d %d %d %d %d %d %d %d %d %lf %lf", &c.groups, &c.shared, &c.k, &c.mode, &c.tied, &c.inMemory, &c.windowBlocks, &c.before, &c.queries, &c.chunk, &c.cutoff, &c.mass) < 10) return 2;
        Prefill text(c, i);
        const int heads = text.heads, T = c.queries, windows = (c.before + T - 1) / text.length + 1;
        // Modes: per token and group, per token and head, per token, per head.
        const int chosenHeads = c.mode == 0 ? c.shared : c.mode == 2 ? heads : 1, perWindow = c.mode == 3;
        const Sizes z { heads, c.groups, T, c.k, chosenHeads, perWindow, perWindow ? windows : T, c.tied, c.inMemory, c.windowBlocks, c.before,
            (long long)T * D, D, (long long)text.blockCount * D, 1 / sqrtf(D) * 1.44269504f, c.mass < 1 ? (float)(c.mass - 1e-6) : 1, (float)c.cutoff };
        std::vector<float> angles(((size_t)(c.k + 1 + c.windowBlocks) * L + 1) * D);
        for (size_t row = 0; row < angles.size() / D; row++)
            for (int e = 0; e < D / 2; e++) {
                const double angle = row * pow(10000, -2.0 * e / D);
                angles[row * D + e] = cos(angle), angles[row * D + D / 2 + e] = sin(angle);
            }
        auto element = [](const std::vector<u16> &x) { return (const Element *)x.data(); };
        const u32 tiles = tiles_of_window(z), sets = heads / chosenHeads;

        const bool misses = c.cutoff >= 0, ends = c.mass < 1;
        std::vector<int> chosen((size_t)sets * z.choices * c.k, -7), read((size_t)heads * T, -7);
        std::vector<float> missed((size_t)heads * T, NAN);
        int *reads = misses || ends ? read.data() : nullptr;
        const int *who = ends ? nullptr : reads;
        u32 dropped = 0;
        if (misses)
            run_grid({ windows * tiles, (u32)heads, 1 }, kThreads, [&] {
                landmark_prefill_miss(element(text.q), element(text.blocks), element(text.marks), element(text.miss), angles.data(), missed.data(), reads, &dropped, z);
            });
        for (int from = 0; from < T;) {
            int to = smaller(T, from + c.chunk);
            if (perWindow) to = smaller(T, (window_of(from, z) + 1) * text.length - c.before);
            const int first = window_of(from, z), last = window_of(to - 1, z), stride = (Window(last, z).inMemory + 63) / 64 * 64;
            const Part part { from, to, first, stride };
            std::vector<float> scores((size_t)heads * (to - from) * stride, NAN), maxima(scores.size() / kEight, NAN), totals((size_t)heads * (to - from), NAN);
            run_grid({ (last - first + 1) * tiles, (u32)heads, 1 }, kThreads, [&] { landmark_prefill_scan(element(text.q), element(text.marks), angles.data(), who, scores.data(), maxima.data(), totals.data(), z, part); });
            const int rows = perWindow ? last - first + 1 : to - from;
            std::vector<float> common(perWindow ? (size_t)heads * rows * stride : 0, NAN), commonMaxima(common.size() / kEight, NAN);
            if (perWindow) run_grid({ (u32)(stride + kThreads - 1) / kThreads, (u32)rows, (u32)heads }, kThreads, [&] { landmark_prefill_share(scores.data(), totals.data(), who, common.data(), commonMaxima.data(), z, part); });
            run_grid({ (u32)(rows + kWarps - 1) / kWarps, sets, 1 }, kThreads, [&] {
                landmark_prefill_choose(perWindow ? common.data() : scores.data(), perWindow ? commonMaxima.data() : maxima.data(), scores.data(), totals.data(), reads, chosen.data(), rows, z, part);
            });
            from = to;
        }

        std::vector<u16> out((size_t)T * heads * D, 0x7fc0);
        std::vector<float> gates((size_t)heads * T * c.k, NAN);
        const int most = Window(windows - 1, z).inMemory;
        for (int group = 0; group < c.groups; group++) {    // one at a time
            const Pairs p { group * c.shared, c.shared * T * c.k, most, most };
            std::vector<u32> counts(most), starts(most + 1), cursors(most), tileStarts(most + 1);
            std::vector<ListTile> list(p.count / kTilePairs + most + 1);
            std::vector<int> entries(p.count);
            std::vector<u16> parts((size_t)p.count * D, 0x7fc0);
            std::vector<float> logits(p.count, NAN);
            const Dim spans { (u32)(T * c.k + kSpan - 1) / kSpan, (u32)c.shared, 1 };
            if (most > 0) {
                run_grid(spans, kSumThreads, [&] { landmark_prefill_count(chosen.data(), reads, counts.data(), z, p); });
                run_grid({ 1, 1, 1 }, kSumThreads, [&] { landmark_prefill_sum(counts.data(), starts.data(), cursors.data(), tileStarts.data(), p); });
                run_grid({ (u32)(most + kWarps - 1) / kWarps, 1, 1 }, kThreads, [&] { landmark_prefill_tiles(starts.data(), tileStarts.data(), list.data(), p); });
                run_grid(spans, kSumThreads, [&] { landmark_prefill_fill(chosen.data(), reads, cursors.data(), entries.data(), z, p); });
                run_grid({ (u32)list.size(), 1, 1 }, kThreads, [&] {
                    landmark_prefill_read(list.data(), tileStarts.data(), entries.data(), reads, element(text.q), element(text.blocks),
                        element(text.marks), angles.data(), (Element *)parts.data(), logits.data(), z, p);
                });
            }
            run_grid({ windows * tiles, (u32)c.shared, 1 }, kThreads, [&] {
                landmark_prefill_window(element(text.q), element(text.blocks), element(text.marks), angles.data(), reads, misses ? missed.data() : nullptr,
                    (Element *)parts.data(), logits.data(), (Element *)out.data(), gates.data(), z, p);
            });
        }
        printf("d %d L %d, %s:", D, L, arguments[i]);
        fflush(stdout);
        const bool well = (!misses || text.dropped_well(read, dropped, z, angles)) && text.chosen_well(chosen, read, z, angles);
        std::vector<double> expectedGates;
        const bool near = well && close("out", out, text.read(chosen, reads, z, angles, expectedGates));
        double worst = 0;
        for (size_t j = 0; j < expectedGates.size(); j++) worst = fmax(worst, std::isnan(gates[j]) ? INFINITY : fabs(gates[j] - expectedGates[j]));
        printf(" gates %.5f", worst);
        puts(!well ? " OTHER BLOCKS" : near && worst < 2e-3 ? "" : " WRONG");
        good &= well && near && worst < 2e-3;
    }
    return good ? 0 : 1;
}
