using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Choices that end where they have enough of the landmarks' softmax, by their rule.</summary>
public sealed class ReadByMassTests
{
    public ReadByMassTests() => LibTorch.Load();

    /// <summary>With few blocks and with many more than k: as many as have the share for all who choose together, and no fewer do.</summary>
    [Fact]
    public void AsManyBlocksAreChosenAsHaveTheShare()
    {
        var counts = new HashSet<int>();
        for (var seed = 0; seed < 60; seed++)
        {
            using var scope = NewDisposeScope();
            var random = new Random(seed);
            var (groups, repeat, t, m) = (random.Next(1, 3), random.Next(1, 4), random.Next(1, 5), random.Next(1, 12));
            var (mode, k, mass) = ((SelectionMode)random.Next(4), random.Next(1, m + 1), 0.2 + (0.79 * random.NextDouble()));
            using var drawn = new Generator((ulong)seed, CPU);
            var scores = randn([groups * repeat, t, m], dtype: ScalarType.Float64, generator: drawn) * 2;
            var all = BlockSelection.Choose(scores, groups, k, mode, reference: true);
            var ended = Numbers(BlockSelection.EndByMass(scores, all, groups, mode, mass));
            var (fixedK, p) = (Numbers(all), Numbers(softmax(scores, -1)));
            for (var h = 0; h < groups * repeat; h++)
            {
                for (var i = 0; i < t; i++)
                {
                    (int Head, int Query)[] together = mode switch
                    {
                        SelectionMode.PerTokenAndHead => [(h, i)],
                        SelectionMode.PerTokenAndGroup => [.. Enumerable.Range(h / repeat * repeat, repeat).Select(x => (x, i))],
                        SelectionMode.PerToken => [.. Enumerable.Range(0, groups * repeat).Select(x => (x, i))],
                        _ => [.. Enumerable.Range(0, t).Select(x => (h, x))],
                    };
                    double Share(int head, int query, IEnumerable<int> some) => some.Sum(b => p[head, query, b]);
                    int[] byRank = [.. Row(fixedK, h, i).OrderByDescending(b => together.Max(r => p[r.Head, r.Query, b]))];
                    var count = Enumerable.Range(1, k).FirstOrDefault(n => together.All(r => Share(r.Head, r.Query, byRank[..n]) >= mass), k);
                    Assert.Equal([.. byRank[..count].Order(), .. Enumerable.Repeat(-1, k - count)], Row(ended, h, i));
                    counts.Add(count);
                }
            }

            int[] Row(double[,,] of, int h, int i) => [.. Enumerable.Range(0, k).Select(r => (int)of[h, i, r])];
        }
        Assert.Superset(new HashSet<int> { 1, 2, 3, 4, 5 }, counts);
    }

    /// <summary>Of equal scores the later block is kept, and what rounds to the share is enough.</summary>
    [Fact]
    public void OfEqualBlocksTheLaterOnesAreKept()
    {
        using var scope = NewDisposeScope();
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var all = arange(10).expand(2, 1, 10).contiguous();
            var ended = BlockSelection.EndByMass(zeros(2, 1, 10), all, 1, mode, 0.3)[1, 0];
            Assert.Equal([7, 8, 9, -1, -1, -1, -1, -1, -1, -1], ended.data<long>().ToArray());
        }
    }

    [Theory]
    [InlineData(0.0, "it is above 0 and at most 1")]
    [InlineData(1.5, "it is above 0 and at most 1")]
    [InlineData(double.NaN, "it is above 0 and at most 1")]
    public void AShareThatIsNoneIsRefused(double mass, string part) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(() => new RetrievalOptions { Mass = mass }.Checked()).Message, StringComparison.Ordinal);

    [Fact]
    public void WithAContextMissTokenItIsRefused() => Assert.Contains(
        "leave out the share of the mass",
        Assert.Throws<LandmarkException>(() => new RetrievalOptions { Mass = 0.9, MissCutoff = 0 }.Checked()).Message, StringComparison.Ordinal);

    private static double[,,] Numbers(Tensor x) => Evaluation.ExactFidelity.Numbers(x);
}
