using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Distributed;

/// <summary>Processes that share the optimizer's state step as one does, and keep the state that one keeps.</summary>
public sealed class ShardedAdamWTests : IDisposable
{
    // Matrices and vectors by turns, and numbers of elements that no number of processes divides.
    private static readonly (string Name, long[] Shape)[] Shapes =
        [("a", [7, 5]), ("b", [3]), ("c", [1, 1]), ("d", [11]), ("e", [4, 9]), ("f", [2, 3])];

    private static readonly TrainingOptions Recipe = TinyRun.Recipe with { WeightDecay = 0.3, Clip = 1.5, Beta1 = 0.8, Beta2 = 0.97 };

    private readonly TemporaryFolder folder = new();

    public ShardedAdamWTests() => LibTorch.Load();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1, EndToEnd.Stretch)]
    [InlineData(2, EndToEnd.Stretch)]
    [InlineData(2, 8)]
    [InlineData(3, 7)]      // buckets that end within a tensor, and tensors that span several
    [InlineData(5, 3)]      // less than one element for each
    public void SeveralStepAsOne(int size, long stretch)
    {
        using var scope = NewDisposeScope();
        var expected = One(steps: 6);
        ThreadGroup.Run(size, group =>
        {
            using var mine = NewDisposeScope();
            var parameters = Parameters();
            using var optimizer = new ShardedAdamW(parameters, Recipe, group, stretch);
            for (var step = 0; step < 6; step++)
            {
                var norm = Step(parameters, optimizer, step, group);
                Assert.Equal(expected.Norms[step], norm, expected.Norms[step] * 1e-5);
            }
            Close(expected.Parameters, parameters);
            Assert.All(parameters.Values, p => Assert.Null(p.grad));
            Keep(optimizer, group, "shared");
        });
        using var one = Weights.Open(folder["one"]);
        using var shared = Weights.Open(folder["shared"]);
        Assert.Equal(one.Names.Order(StringComparer.Ordinal), shared.Names.Order(StringComparer.Ordinal));
        foreach (var name in one.Names)
            Assert.True(one.Get(name, one.Entry(name).Shape).allclose(shared.Get(name, one.Entry(name).Shape), 1e-5, 1e-7), name);
    }

    [Theory]
    [InlineData(2, 3)]
    [InlineData(3, 1)]
    [InlineData(1, 4)]
    public void TheStateGoesOnInAnyNumberOfProcesses(int before, int after)
    {
        using var scope = NewDisposeScope();
        var expected = One(steps: 6);
        ThreadGroup.Run(before, group =>
        {
            using var mine = NewDisposeScope();
            var parameters = Parameters();
            using var optimizer = new ShardedAdamW(parameters, Recipe, group, stretch: 10);
            for (var step = 0; step < 3; step++) Step(parameters, optimizer, step, group);
            Keep(optimizer, group, "moments");
            if (group.Rank == 0) SafeTensors.Write(folder["parameters.safetensors"], parameters.Select(p => (p.Key, p.Value)));
        });
        ThreadGroup.Run(after, group =>
        {
            using var mine = NewDisposeScope();
            using var weights = Weights.Open(folder["parameters.safetensors"]);
            using var moments = Weights.Open(folder["moments"]);
            var parameters = Shapes.ToDictionary(
                s => s.Name, s => weights.Get(s.Name, s.Shape).clone().requires_grad_(), StringComparer.Ordinal);
            using var optimizer = new ShardedAdamW(parameters, Recipe, group, stretch: 16);
            optimizer.Restore(moments);
            for (var step = 3; step < 6; step++) Step(parameters, optimizer, step, group);
            Close(expected.Parameters, parameters);
        });
    }

    [Fact]
    public void AllBeginWithTheFirstOnesParameters() => ThreadGroup.Run(3, group =>
    {
        using var scope = NewDisposeScope();
        Tensor[] parameters = [full([3, 2], group.Rank + 1, ScalarType.Float32), full([5], 10 * (group.Rank + 1), ScalarType.Float32)];
        group.Begin(4, Recipe, "texts", parameters);
        Assert.All(parameters[0].data<float>(), v => Assert.Equal(1, v));
        Assert.All(parameters[1].data<float>(), v => Assert.Equal(10, v));
    });

    [Theory]
    [InlineData(1, 0.0, "texts", "Process 1 would go on from step")]
    [InlineData(0, 0.1, "texts", "Process 1 would go on from step")]
    [InlineData(0, 0.0, "other texts", "Process 1 has other token shards")]
    public void WhoWouldBeginOtherwiseIsTold(long step, double rate, string data, string says)
    {
        var told = 0;
        ThreadGroup.Run(2, group =>
        {
            using var scope = NewDisposeScope();
            void Begin() => group.Begin(
                group.Rank * step, Recipe with { PeakRate = Recipe.PeakRate + (group.Rank * rate) }, group.Rank == 0 ? "texts" : data, [zeros(0, ScalarType.Float32)]);
            if (group.Rank == 0)
            {
                Begin();
                return;
            }
            Assert.StartsWith(says, Assert.Throws<LandmarkException>(Begin).Message, StringComparison.Ordinal);
            Interlocked.Increment(ref told);
        });
        Assert.Equal(1, told);
    }

    private (Dictionary<string, Tensor> Parameters, double[] Norms) One(int steps)
    {
        var parameters = Parameters();
        using var optimizer = new AdamW(parameters, Recipe);
        var norms = Enumerable.Range(0, steps).Select(step => Step(parameters, optimizer, step, null)).ToArray();
        SafeTensors.WriteSharded(folder["one"], optimizer.State, 1 << 20);
        return (parameters, norms);
    }

    private void Keep(ShardedAdamW optimizer, ProcessGroup group, string name)
    {
        if (group.Rank == 0) SafeTensors.WriteSharded(folder[name], optimizer.State, 100);
        else
        {
            foreach (var part in optimizer.State)
            {
                using var scope = NewDisposeScope();
                part.Make();
            }
        }
    }

    /// <summary>A step by gradients of which each process has its summand; they are above and below the clip.</summary>
    private static double Step(Dictionary<string, Tensor> parameters, IOptimizer optimizer, int step, ProcessGroup? group)
    {
        using var scope = NewDisposeScope();
        foreach (var (i, parameter) in parameters.Values.Index())
        {
            using var random = new Generator((ulong)((100 * step) + i), CPU);
            var summands = randn([30, .. parameter.shape], generator: random) * (step % 2 == 0 ? 0.01 : 1);
            var (from, to) = group is null ? (0, 30) : (30 * group.Rank / group.Size, 30 * (group.Rank + 1) / group.Size);
            (parameter * summands[from..to].sum(0, false, null)).sum().backward();
        }
        return optimizer.Step(0.01 * (step + 1)).ToDouble();
    }

    private static Dictionary<string, Tensor> Parameters()
    {
        using var random = new Generator(5, CPU);
        return Shapes.ToDictionary(s => s.Name, s => randn(s.Shape, generator: random).requires_grad_(), StringComparer.Ordinal);
    }

    private static void Close(Dictionary<string, Tensor> expected, Dictionary<string, Tensor> found) =>
        Assert.All(expected, p => Assert.True(found[p.Key].allclose(p.Value, 1e-5, 1e-6), p.Key));
}
