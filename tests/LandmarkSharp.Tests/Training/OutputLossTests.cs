using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace LandmarkSharp.Tests.Training;

/// <summary>Loss and gradients slice by slice, against libtorch's over everything in float64.</summary>
public sealed class OutputLossTests : IDisposable
{
    private const int Positions = 23, Vocabulary = 64;

    private readonly DisposeScope scope = NewDisposeScope();

    static OutputLossTests() => LibTorch.Load();

    public void Dispose() => scope.Dispose();

    [Theory]
    [InlineData(true, false, 1)]
    [InlineData(true, false, 7)]
    [InlineData(false, false, 7)]
    [InlineData(false, false, 1000)]
    [InlineData(true, true, 7)]
    [InlineData(false, true, 1)]
    public void SlicesGiveWhatTheWholeGives(bool tied, bool lora, int rows)
    {
        using var decoder = Make(tied, lora, ScalarType.Float32);
        var (hidden, targets, weights) = Inputs(decoder);
        var (expected, hiddenGradient, named) = Whole(decoder, hidden, targets, weights);
        // A second time the gradients are added to the first's.
        hidden.requires_grad_();
        for (var times = 1; times <= 2; times++)
        {
            var (cross, gradients) = OutputLoss.Differentiate(decoder, hidden, targets, weights, rows * Vocabulary * sizeof(float));
            gradients.Backward();
            RowByRow.Close(expected, cross, 1e-5);
            RowByRow.Close(hiddenGradient * times, hidden.grad!, 1e-5);
            foreach (var (name, sum) in named) RowByRow.Close(sum * times, decoder.Parameters[name].grad!, 1e-5);
        }
        Assert.Equal(named.Keys.Order(), decoder.Parameters.Where(p => p.Value.grad is not null).Select(p => p.Key).Order());

        var (judged, predicted) = OutputLoss.Evaluate(decoder, hidden, targets, predictions: true, rows * Vocabulary * sizeof(float));
        RowByRow.Close(expected, judged, 1e-5);
        Assert.Equal(decoder.Logits(hidden).argmax(1).data<long>().ToArray(), predicted!.data<long>().ToArray());
        Assert.Null(OutputLoss.Evaluate(decoder, hidden, targets, predictions: false).Predicted);
    }

    [Fact]
    public void InHalfPrecisionGradientsAreAsGoodAsItsProducts()
    {
        using var decoder = Make(tied: true, lora: false, ScalarType.BFloat16);
        var (hidden, targets, weights) = Inputs(decoder);
        var (expected, hiddenGradient, named) = Whole(decoder, hidden, targets, weights);
        var (cross, gradients) = OutputLoss.Differentiate(decoder, hidden.to(ScalarType.BFloat16), targets, weights, 5 * Vocabulary * 2);
        Assert.Equal(
            (ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float32), (cross.dtype, gradients.OfHidden.dtype, gradients.OfParameter.dtype));
        Near(expected, cross);
        Near(hiddenGradient, gradients.OfHidden);
        Near(named.Values.Single(), gradients.OfParameter);

        static void Near(Tensor expected, Tensor found)
        {
            var error = (expected - found.to(ScalarType.Float64)).norm().ToDouble() / expected.norm().ToDouble();
            Assert.InRange(error, 0, 0.01);
        }
    }

    [Fact]
    public void LargeLogitsStayFinite()
    {
        using var decoder = Make(tied: false, lora: false, ScalarType.Float32);
        var (hidden, targets, weights) = Inputs(decoder);
        var (expected, hiddenGradient, _) = Whole(decoder, hidden * 1000, targets, weights);
        var (cross, gradients) = OutputLoss.Differentiate(decoder, hidden * 1000, targets, weights);
        Assert.True(expected.max().ToDouble() > 100);
        Assert.True(cross.isfinite().all().item<bool>());
        Assert.True(((cross - expected).abs() <= 1e-5 * (1 + expected)).all().item<bool>());
        RowByRow.Close(hiddenGradient, gradients.OfHidden, 1e-4);
    }

    private static (Tensor Cross, Tensor Hidden, Dictionary<string, Tensor> Parameters) Whole(
        Decoder decoder, Tensor hidden, Tensor targets, Tensor weights)
    {
        using var wide = new Decoder(
            decoder.Config,
            (name, _) => decoder.Parameters[name].detach().to(ScalarType.Float64).clone().requires_grad_(decoder.Parameters[name].requires_grad),
            ScalarType.Float64);
        var leaf = hidden.to(ScalarType.Float64).detach().clone().requires_grad_();
        var cross = F.cross_entropy(wide.Logits(leaf), targets, ignore_index: Batch.Ignored, reduction: nn.Reduction.None);
        (cross * weights).sum().backward();
        return (
            cross.detach(), leaf.grad!,
            wide.Parameters.Where(p => p.Value.grad is not null).ToDictionary(p => p.Key, p => p.Value.grad!));
    }

    private static (Tensor Hidden, Tensor Targets, Tensor Weights) Inputs(Decoder decoder)
    {
        var random = new Generator(5, CPU);
        var targets = randint(0, Vocabulary, [Positions], ScalarType.Int64, generator: random);
        targets[4] = targets[19] = Batch.Ignored;
        targets[7] = decoder.Config.Landmark!.Id;
        var weights = rand([Positions], generator: random) * targets.ne(Batch.Ignored);
        return (randn([Positions, decoder.Config.HiddenSize], generator: random), targets, weights);
    }

    private static Decoder Make(bool tied, bool lora, ScalarType type)
    {
        var config = TinyRun.Recipe.Model(Vocabulary - 1, 2, "any") with { TiedEmbeddings = tied, Lora = lora ? new LoraOptions() : null };
        using var random = new Generator(3, CPU);
        var decoder = new Decoder(config, (_, shape) => randn(shape, generator: random) * 0.3, type);
        foreach (var parameter in decoder.Trainable.Values) parameter.requires_grad_();
        return decoder;
    }
}
