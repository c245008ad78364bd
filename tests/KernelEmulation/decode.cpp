#include "reference.h"
#include "landmark_decode.cu"

// Two sequences of different lengths; every head in float64.
// repeat: units of R heads on the same keys; tied: 1 as in the first layer, 2 for equal keys that nobody knows to be equal; cutoff: of
// a context-miss token, below 0 for none; mass: where choices end, 1 for never.
struct DecodeCase { int groups, repeat, tokens, k, chosenHeads, tied, sharedKeys, inMemory[2], position[2]; double cutoff = -1, mass = 1; };

struct Decoded { std::vector<double> out; std::vector<std::vector<int>> chosen; int dropped = 0; };

static Decoded decode(const DecodeCase &c, const std::vector<u16> &q, const std::vector<u16> *blocks, const std::vector<u16> *marks, const std::vector<u16> &miss, const std::vector<float> &angles, int capacity) {
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
        const int own = position / L;
        std::vector<double> missed(heads);
        for (int h = 0; h < heads && c.cutoff >= 0; h++) {
            const u16 *keys = &blocks[sequence][((size_t)(m + own) * c.groups + h / each) * 2 * c.tokens * D];
            double sum = 0;
            for (int j = 0; j < smaller(position % L + 1, c.tokens); j++) sum += exp(dot(form(h, position % L), keys + j * D));
            for (int b = 0; b < own; b++) sum += exp(dot(form(h, position - b * L), mark(h, m + b)));
            const double token = exp(dot(form(h, position + smaller(m, k + 1) * L + 1), &miss[h / each * D]));
            missed[h] = token / (token + sum);
        }
        auto retrieves = [&](int h) { return missed[h] >= c.cutoff; };
        for (int h = 0; h < heads; h++) {
            std::vector<std::pair<double, int>> best;
            std::vector<int> sharing;
            for (int i = 0; i < c.chosenHeads; i++)
                if (const int other = h / c.chosenHeads * c.chosenHeads + i; retrieves(other)) sharing.push_back(other);
            for (int b = 0; b < m; b++) {
                double s = -INFINITY;
                for (int other : sharing) s = fmax(s, scores[other][b]);
                best.push_back({ s, b });
            }
            std::sort(best.rbegin(), best.rend());
            int count = k > 0 ? 1 : 0;
            for (int other : sharing) {
                double sum = 0;
                int n = 0;
                while (n < k && (n == 0 || sum < c.mass - 1e-6)) sum += exp(scores[other][best[n++].second]);
                count = std::max(count, c.mass < 1 ? n : k);
            }
            if (!retrieves(h)) count = 0, result.dropped += m > 0;
            std::vector<int> chosen;
            for (int i = 0; i < count; i++) chosen.push_back(best[i].second);
            std::sort(chosen.begin(), chosen.end());
            result.chosen.push_back(chosen);
            std::vector<double> logits, parts;
            for (int slot = 0; slot < count + own + 1; slot++) {
                const int block = slot < count ? chosen[slot] : m + slot - count;
                const bool isOwn = slot == count + own;
                const int distance = slot < count ? position + (k + 1 - (block >= old ? slot + 1 + k - count : slot)) * L : position - (slot - count) * L;
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
            double window = 0, memory = 0;
            for (int i = 0; i < (int)logits.size(); i++) (i < count ? memory : window) += exp(logits[i]);
            for (int i = 0; i < (int)logits.size(); i++) {
                const double gate = c.cutoff < 0 ? 1 / (window + memory) : i < count ? missed[h] / memory : (1 - missed[h]) / window;
                for (int e = 0; e < D; e++) result.out[(sequence * heads + h) * D + e] += exp(logits[i]) * gate * parts[i * D + e];
            }
        }
    }
    return result;
}

int main(int count, char **arguments) {
    bool good = true;
    for (int i = 1; i < count; i++) {
        DecodeCase c;
        if (sscanf(arguments[i], "%d %d %d %d %d %d %d %d %d %d %d %lf %lf", &c.groups, &c.repeat, &c.tokens, &c.k, &c.chosenHeads, &c.tied, &c.sharedKeys, &c.inMemory[0], &c.inMemory[1], &c.position[0], &c.position[1], &c.cutoff, &c.mass) < 11) return 2;
        const int heads = c.groups * c.repeat * R, units = heads / R, L = c.tokens + 1, windowBlocks = 4, splits = 3;
        const int most = (std::max(c.inMemory[0], c.inMemory[1]) + 3) / 4 * 4, capacity = most + windowBlocks;
        std::mt19937 random(i);
        std::normal_distribution<float> normal;
        auto make = [&](size_t n, float size) { std::vector<u16> x(n); for (auto &e : x) e = narrow(normal(random) * size); return x; };
        const auto q = make(2 * heads * D, 1.5f), miss = make(c.groups * D, 3);
        std::vector<u16> blocks[2], marks[2];
        for (int s = 0; s < 2; s++) {
            blocks[s] = make((size_t)capacity * c.groups * 2 * c.tokens * D, 1), marks[s] = make((size_t)c.groups * capacity * D, 1);
            // The same key again and again: equal scores, to the last bit.
            for (int b = c.tied == 2 ? 1 : 20; b < capacity; b += c.tied == 2 ? 1 : 3)
                for (int g = 0; g < c.groups; g++) memcpy(&marks[s][((size_t)g * capacity + b) * D], &marks[s][((size_t)g * capacity + (c.tied == 2 ? 0 : 5)) * D], D * 2);
        }
        std::vector<float> angles(((size_t)(c.k + 1 + windowBlocks) * L + 1) * D);
        for (size_t row = 0; row < angles.size() / D; row++)
            for (int e = 0; e < D / 2; e++) {
                const double angle = row * pow(10000, -2.0 * e / D);
                angles[row * D + e] = cos(angle), angles[row * D + D / 2 + e] = sin(angle);
            }
        Sequences sequences;
        for (int s = 0; s < 2; s++) sequences.at[s] = { (T *)blocks[s].data(), (T *)marks[s].data(), capacity, c.inMemory[s], c.position[s] };
        const u32 parts = splits + (c.k + kScanWarps - 1) / kScanWarps, choices = heads / c.chosenHeads, slots = c.k + windowBlocks;
        const Sizes z { heads, c.groups, c.repeat, c.tokens, c.k, splits, (int)parts, c.chosenHeads, c.tied == 1, most, c.sharedKeys, 1 / sqrtf(D) * 1.44269504f, c.mass < 1 ? (float)(c.mass - 1e-6) : 1, (float)c.cutoff };
        std::vector<float> scores(2 * heads * most, NAN), totals(2 * heads * parts * 2, NAN), sums(2 * heads * slots * D, NAN), logits(2 * heads * slots, NAN), gates(2 * heads * c.k, NAN), masses(2 * heads, NAN);
        const float *mass = c.cutoff < 0 ? nullptr : masses.data();
        u32 dropped = 0;
        std::vector<u32> keys(2 * choices * most), arrived(2 * units);
        std::vector<long long> chosen(2 * heads * c.k, -7);
        std::vector<u16> out(2 * heads * D, 0x7fc0);
        if (mass) run_grid({ (u32)units, 2, 1 }, kMissThreads, [&] { landmark_miss(sequences, (T *)q.data(), angles.data(), (T *)miss.data(), masses.data(), &dropped, z); });
        run_grid({ parts, (u32)units, 2 }, kScanThreads, [&] { landmark_scan(sequences, (T *)q.data(), angles.data(), mass, scores.data(), totals.data(), z); });
        run_grid({ choices, 2, 1 }, kChooseThreads, [&] { landmark_choose(sequences, scores.data(), totals.data(), mass, keys.data(), chosen.data(), z); });
        run_grid({ slots, (u32)units, 2 }, kReadThreads, [&] {
            landmark_read(sequences, (T *)q.data(), angles.data(), mass, chosen.data(), sums.data(), logits.data(), arrived.data(), (T *)out.data(), gates.data(), z);
        });
        printf("d %d R %d, %s:", D, R, arguments[i]);
        const auto expected = decode(c, q, blocks, marks, miss, angles, capacity);
        bool same = (int)dropped == expected.dropped;
        for (int s = 0; s < 2; s++)
            for (int h = 0; h < heads; h++)
                for (size_t j = 0; j < (size_t)c.k; j++) {
                    const auto &of = expected.chosen[s * heads + h];
                    same &= chosen[(s * heads + h) * c.k + j] == (j < of.size() ? of[j] : -1) && (j < of.size() || gates[(s * heads + h) * c.k + j] == 0);
                }
        for (u32 a : arrived) same &= a == 0;
        if (mass) printf(" %d of %d dropped", dropped, 2 * heads);
        if (c.mass < 1) {
            int read = 0;
            for (long long b : chosen) read += b >= 0;
            printf(" %d of %d read", read, 2 * heads * c.k);
        }
        const bool near = close("out", out, expected.out);
        puts(near && same ? "" : same ? " WRONG" : " OTHER BLOCKS");
        good &= near && same;
    }
    return good ? 0 : 1;
}
