using CsCheck;
using LandmarkSharp.Attention;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Products of int8 copies against those of the keys.</summary>
public sealed unsafe class Int8KeysTests
{
    [Fact]
    public void ProductsAreAboutThoseOfTheKeys() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 260], Gen.Int[1, 9], Gen.Int, Gen.Double[-12, 12]).Sample((fours, d, queries, seed, size) =>
        {
            var random = new Random(seed);
            var (count, row, step) = (4 * fours, Int8Keys.Row(d), (4 * fours) + 3);
            float[] Draw(int n, double by) => [.. Enumerable.Range(0, n).Select(_ => (float)((random.NextDouble() - 0.5) * by))];
            float[] keys = Draw(count * d, Math.Exp(size)), q = Draw(queries * d, Math.Exp(-size / 2)), factors = new float[queries], scores = new float[queries * step];
            var rounded = new short[queries * row];
            fixed (float* k = keys, x = q, f = factors, s = scores)
            fixed (short* r = rounded)
            {
                for (var t = 0; t < queries; t++) f[t] = Int8Keys.Round(x + (t * d), d, r + (t * row));
                new Int8Keys(k, count, d).Dots(r, f, queries, s, step);
            }
            for (var t = 0; t < queries; t++)
            {
                for (var j = 0; j < count; j++)
                {
                    double sum = 0, bound = 0, most = 0;
                    for (var i = 0; i < d; i++)
                    {
                        sum += (double)q[(t * d) + i] * keys[(j * d) + i];
                        bound += Math.Abs(q[(t * d) + i]);
                        most = Math.Max(most, Math.Abs(keys[(j * d) + i]));
                    }
                    // Half of a 127th of each key's greatest number, and a little for the query.
                    Assert.InRange(scores[(t * step) + j], sum - (bound * most / 250), sum + (bound * most / 250));
                }
            }
        });

    /// <summary>The greatest numbers there may be do not overflow, and a query with numbers that are none has no score.</summary>
    [Fact]
    public void NothingOverflows()
    {
        foreach (var d in (int[])[64, 1024, 8192])
        {
            float[] keys = new float[4 * d], q = new float[d], scores = new float[4];
            keys.AsSpan().Fill(3);
            q.AsSpan().Fill(-2);
            var rounded = new short[Int8Keys.Row(d)];
            fixed (float* k = keys, x = q, s = scores)
            fixed (short* r = rounded)
            {
                var copies = new Int8Keys(k, 4, d);
                var factor = Int8Keys.Round(x, d, r);
                copies.Dots(r, &factor, 1, s, 4);
                Assert.All(scores, score => Assert.InRange(score, -6.01f * d, -5.99f * d));
                foreach (var none in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
                {
                    x[d / 2] = none;
                    factor = Int8Keys.Round(x, d, r);
                    copies.Dots(r, &factor, 1, s, 4);
                    Assert.All(scores, score => Assert.Equal(0, score));
                }
            }
        }
    }
}
