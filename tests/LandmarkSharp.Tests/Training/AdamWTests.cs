using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

public sealed class AdamWTests
{
    private static readonly (string Name, long[] Shape)[] Shapes =
    [
        ("model.embed_tokens.weight", [7, 4]),
        ("model.norm.weight", [4]),
        ("model.layers.0.q_proj.weight", [4, 6]),
        ("model.layers.0.q_proj.bias", [4]),
    ];

    // Norms from far below to far above the clip, so that it works in some steps and in others not.
    private static readonly double[] Sizes = [0.01, 0.3, 20, 0.002, 5, 0.1, 0.1, 3];

    private static readonly TrainingOptions Recipe = TinyRun.Recipe with { WeightDecay = 0.3, Clip = 1.5, Beta1 = 0.8, Beta2 = 0.97 };

    [Fact]
    public void StepsAreThoseOfPlainArithmetic()
    {
        LibTorch.Load();
        using var scope = NewDisposeScope();
        var parameters = Parameters();
        var plain = new PlainAdamW(Recipe, [.. parameters.Values.Select(Doubles)], [.. Shapes.Select(s => s.Shape.Length >= 2)]);
        using var optimizer = new AdamW(parameters, Recipe);
        for (var step = 0; step < Sizes.Length; step++)
        {
            var rate = 0.01 * (step + 1);
            var gradients = Gradients(step, Sizes[step]);
            Backward(parameters, gradients);
            var norm = optimizer.Step(rate).ToDouble();
            var expected = plain.Step(gradients, rate);
            Assert.Equal(expected, norm, expected * 1e-5);
            Assert.All(parameters.Values.Zip(plain.Parameters), p => Close(p.Second, p.First, 2e-6));
        }
    }

    [Fact]
    public void DecayPullsMatricesAndNothingElse()
    {
        LibTorch.Load();
        using var scope = NewDisposeScope();
        var parameters = Parameters();
        var before = parameters.Values.Select(Doubles).ToArray();
        using var optimizer = new AdamW(parameters, Recipe);
        Backward(parameters, [.. before.Select(b => new double[b.Length])]);
        optimizer.Step(0.1).Dispose();
        foreach (var ((parameter, was), (_, shape)) in parameters.Values.Zip(before).Zip(Shapes))
            Close([.. was.Select(x => shape.Length >= 2 ? x * (1 - (0.1 * 0.3)) : x)], parameter, 1e-6);
    }

    [Fact]
    public void AStepLeavesNoGradientBehind()
    {
        LibTorch.Load();
        using var scope = NewDisposeScope();
        var (once, twice) = (Parameters(), Parameters());
        using var first = new AdamW(once, Recipe);
        using var second = new AdamW(twice, Recipe);
        var (a, b) = (Gradients(1, 0.5), Gradients(2, 0.5));
        Backward(once, a);
        first.Step(0.01).Dispose();
        Backward(once, b);
        Assert.Equal(PlainAdamW.Norm(b), first.Step(0.01).ToDouble(), 1e-5);
        // Without a step between, gradients add up: that is how micro-batches become one.
        Backward(twice, a);
        Backward(twice, b);
        var sum = a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + q).ToArray()).ToArray();
        Assert.Equal(PlainAdamW.Norm(sum), second.Step(0.01).ToDouble(), 1e-5);
    }

    [Fact]
    public void StateThatIsTakenBackGoesOnToTheSameBits()
    {
        LibTorch.Load();
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var whole = Parameters();
        using var optimizer = new AdamW(whole, Recipe);
        Take(whole, optimizer, 0, 3);
        SafeTensors.WriteSharded(folder["moments"], optimizer.State, 1L << 30);
        var copy = whole.ToDictionary(p => p.Key, p => p.Value.detach().clone().requires_grad_());
        using var resumed = new AdamW(copy, Recipe);
        using (var saved = Weights.Open(folder["moments"])) resumed.Restore(saved);
        Take(whole, optimizer, 3, 6);
        Take(copy, resumed, 3, 6);
        Assert.All(whole, p => Assert.Equal(Doubles(p.Value), Doubles(copy[p.Key])));
    }

    private static void Take(Dictionary<string, Tensor> parameters, AdamW optimizer, int from, int to)
    {
        for (var step = from; step < to; step++)
        {
            Backward(parameters, Gradients(step, Sizes[step]));
            optimizer.Step(0.02).Dispose();
        }
    }

    private static Dictionary<string, Tensor> Parameters()
    {
        using var random = new Generator(5, CPU);
        return Shapes.ToDictionary(s => s.Name, s => randn(s.Shape, generator: random).requires_grad_(), StringComparer.Ordinal);
    }

    /// <summary>Gradients whose norm is about <paramref name="size"/>, some of them 0.</summary>
    private static double[][] Gradients(int seed, double size)
    {
        var random = new Random(seed);
        return [.. Shapes.Select(s => Enumerable.Range(0, (int)s.Shape.Aggregate((a, b) => a * b))
            .Select(i => i % 5 == 4 ? 0.0 : (double)(float)(size * (random.NextDouble() - 0.5) / 2)).ToArray())];
    }

    private static void Backward(Dictionary<string, Tensor> parameters, double[][] gradients)
    {
        using var scope = NewDisposeScope();
        var loss = zeros(1);
        foreach (var (parameter, gradient) in parameters.Values.Zip(gradients))
            loss += (parameter * tensor(gradient, ScalarType.Float32).reshape(parameter.shape)).sum();
        loss.backward();
    }

    private static double[] Doubles(Tensor tensor) => [.. tensor.detach().to(ScalarType.Float64).data<double>()];

    private static void Close(double[] expected, Tensor actual, double tolerance)
    {
        foreach (var (e, a) in expected.Zip(Doubles(actual))) Assert.Equal(e, a, tolerance);
    }
}
