#include "reference.h"
#include "landmark_decode.cu"

// Two sequences of different lengths; every head in float64.
// repeat: units of R heads on the same keys; tied: 1 as in the first layer, 2 for equal keys that nobody knows to be equal.
struct DecodeCase { int groups, repeat, tokens, k, chosenHeads, tied, sharedKeys, inMemory[2], position[2]; };

struct Decoded { std::vector<double> out; std::vector<std::vector<int>> chosen; };

static Decoded decode(const DecodeCase &c, const std::vector<u16> &q, const std::vector<u16> *blocks, const std::vector<u16> *marks, const std::vector<float> &angles, int capacity) {
    const int heads = c.groups * c.repeat * R, each = heads / c.groups, L = c.tokens + 1;
    Decoded result;
    result.out.resize(2 * heads * D);
    for (int sequence = 0; sequence < 2; sequence++) {
        const int m = c.inMemory[sequence], position = c.position[sequence], k = smaller(c.k, m), old = m - k;
        auto form = [&](int head, int distance) {
            std::vector<double> x(D);
            for (int i = 0; i < D / 2; i++) {
                const double a = widen(q[(sequence * heads + head) * D + i]), b = widen(q[(sequence * heads + head) * D + i + D / 2]);
                const double cosine = angles[distance * D + i], sine = angles[distance * D + D / 2 + i];
                x[i] = a * cosine - b * sine, x[i + D / 2] = b * cosine + a * sine;
            }
            return x;
        };
        auto dot = [&](const std::vector<double> &x, const u16 *row) { double s = 0; for (int i = 0; i < D; i++) s += x[i] * widen(row[i]); return s / sqrt(D); };
        auto mark = [&](int head, int block) { return &marks[sequence][((size_t)(head / each) * capacity + block) * D]; };
        std::vector<std::vector<double>> scores(heads, std::vector<double>(m));
        for (int h = 0; h < heads; h++) {
            double sum = 0;
            for (int b = 0; b < m; b++) scores[h][b] = b < old ? dot(form(h, position + (k + 1) * L), mark(h, c.tied == 1 ? 0 : b)) : dot(form(h, position + (m - b) * L), mark(h, b));
            for (double s : scores[h]) sum += exp(s);
            for (double &s : scores[h]) s -= log(sum);
        }
        for (int h = 0; h < heads; h++) {
            std::vector<std::pair<double, int>> best;
            for (int b = 0; b < m; b++) {
                double s = -INFINITY;
                for (int other = 0; other < c.chosenHeads; other++) s = fmax(s, scores[h / c.chosenHeads * c.chosenHeads + other][b]);
                best.push_back({ s, b });
            }
            std::sort(best.rbegin(), best.rend());
            std::vector<int> chosen;
            for (int i = 0; i < k; i++) chosen.push_back(best[i].second);
            std::sort(chosen.begin(), chosen.end());
            result.chosen.push_back(chosen);
            const int own = position / L;
            std::vector<double> logits, parts;
            for (int slot = 0; slot < k + own + 1; slot++) {
                const int block = slot < k ? chosen[slot] : m + slot - k;
                const bool isOwn = slot == k + own;
                const int distance = slot < k ? position + (k + 1 - (block >= old ? slot + 1 : slot)) * L : position - (slot - k) * L;
                const int tokens = isOwn ? smaller(position % L + 1, c.tokens) : c.tokens;
                const auto x = form(h, distance);
                std::vector<double> s(tokens), part(D);
                double sum = 0;
                const u16 *keys = &blocks[sequence][((size_t)block * c.groups + h / each) * 2 * c.tokens * D];
                for (int j = 0; j < tokens; j++) sum += s[j] = exp(dot(x, keys + j * D));
                for (int j = 0; j < tokens; j++) for (int i = 0; i < D; i++) part[i] += s[j] / sum * widen(keys[(c.tokens + j) * D + i]);
                logits.push_back(isOwn ? log(sum) : dot(x, mark(h, block)));
                parts.insert(parts.end(), part.begin(), part.end());
            }
            double sum = 0;
            for (double l : logits) sum += exp(l);
            for (size_t i = 0; i < logits.size(); i++)
                for (int e = 0; e < D; e++) result.out[(sequence * heads + h) * D + e] += exp(logits[i]) / sum * parts[i * D + e];
        }
    }
    return result;
}

int main(int count, char **arguments) {
    bool good = true;
    for (int i = 1; i < count; i++) {
        DecodeCase c;
        if (sscanf(arguments[i], "%d %d %d %d %d %d %d %d %d %d %d", &c.groups, &c.repeat, &c.tokens, &c.k, &c.chosenHeads, &c.tied, &c.sharedKeys, &c.inMemory[0], &c.inMemory[1], &c.position[0], &c.position[1]) != 11) return 2;
        const int heads = c.groups * c.repeat * R, units = heads / R, L = c.tokens + 1, windowBlocks = 4, splits = 3;
        const int most = (std::max(c.inMemory[0], c.inMemory[1]) + 3) / 4 * 4, capacity = most + windowBlocks;
        std::mt19937 random(i);
        std::normal_distribution<float> normal;
        auto make = [&](size_t n, float size) { std::vector<u16> x(n); for (auto &e : x) e = narrow(normal(random) * size); return x; };
        const auto q = make(2 * heads * D, 1.5f);
        std::vector<u16> blocks[2], marks[2];
        for (int s = 0; s < 2; s++) {
            blocks[s] = make((size_t)capacity * c.groups * 2 * c.tokens * D, 1), marks[s] = make((size_t)c.groups * capacity * D, 1);
            // The same key again and again: equal scores, to the last bit.
            for (int b = c.tied == 2 ? 1 : 20; b < capacity; b += c.tied == 2 ? 1 : 3)
                for (int g = 0; g < c.groups; g++) memcpy(&marks[s][((size_t)g * capacity + b) * D], &marks[s][((size_t)g * capacity + (c.tied == 2 ? 0 : 5)) * D], D * 2);
        }
        std::vector<float> angles((size_t)(c.k + 2 + windowBlocks) * L * D);
        for (size_t row = 0; row < angles.size() / D; row++)
            for (int e = 0; e < D / 2; e++) {
                const double angle = row * pow(10000, -2.0 * e / D);
                angles[row * D + e] = cos(angle), angles[row * D + D / 2 + e] = sin(angle);
            }
        Sequences sequences;
        for (int s = 0; s < 2; s++) sequences.at[s] = { (T *)blocks[s].data(), (T *)marks[s].data(), capacity, c.inMemory[s], c.position[s] };
        const u32 parts = splits + (c.k + kScanWarps - 1) / kScanWarps, choices = heads / c.chosenHeads, slots = c.k + windowBlocks;
        const Sizes z { heads, c.groups, c.repeat, c.tokens, c.k, splits, (int)parts, c.chosenHeads, c.tied == 1, most, c.sharedKeys, 1 / sqrtf(D) * 1.44269504f };
        std::vector<float> scores(2 * heads * most, NAN), totals(2 * heads * parts * 2, NAN), sums(2 * heads * slots * D, NAN), logits(2 * heads * slots, NAN), gates(2 * heads * c.k, NAN);
        std::vector<u32> keys(2 * choices * most), arrived(2 * units);
        std::vector<long long> chosen(2 * heads * c.k, -7);
        std::vector<u16> out(2 * heads * D, 0x7fc0);
        run_grid({ parts, (u32)units, 2 }, kScanThreads, [&] { landmark_scan(sequences, (T *)q.data(), angles.data(), scores.data(), totals.data(), z); });
        run_grid({ choices, 2, 1 }, kChooseThreads, [&] { landmark_choose(sequences, scores.data(), totals.data(), keys.data(), chosen.data(), z); });
        run_grid({ slots, (u32)units, 2 }, kReadThreads, [&] {
            landmark_read(sequences, (T *)q.data(), angles.data(), chosen.data(), sums.data(), logits.data(), arrived.data(), (T *)out.data(), gates.data(), z);
        });
        printf("d %d R %d, %s:", D, R, arguments[i]);
        const auto expected = decode(c, q, blocks, marks, angles, capacity);
        bool same = true;
        for (int s = 0; s < 2; s++)
            for (int h = 0; h < heads; h++)
                for (size_t j = 0; j < (size_t)c.k; j++) {
                    const auto &of = expected.chosen[s * heads + h];
                    same &= chosen[(s * heads + h) * c.k + j] == (j < of.size() ? of[j] : -1) && (j < of.size() || gates[(s * heads + h) * c.k + j] == 0);
                }
        for (u32 a : arrived) same &= a == 0;
        const bool near = close("out", out, expected.out);
        puts(near && same ? "" : same ? " WRONG" : " OTHER BLOCKS");
        good &= near && same;
    }
    return good ? 0 : 1;
}
