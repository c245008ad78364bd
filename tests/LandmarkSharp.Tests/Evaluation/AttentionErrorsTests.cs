using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class AttentionErrorsTests
{
    public AttentionErrorsTests() => LibTorch.Load();

    [Fact]
    public void BothAttentionsErrAsTheirTypeRounds()
    {
        var errors = AttentionErrors.Run(new AttentionCase(4, 2, 32, 8, ScalarType.BFloat16), 100, backward: true, CPU);
        Assert.Equal(["out", "dq", "dk", "dv"], errors.Select(e => e.Result));
        Assert.All(errors, e => Assert.InRange(e.Landmark, 2e-4, 5e-3));
        Assert.All(errors, e => Assert.InRange(e.Causal, 2e-4, 2e-2));
    }

    [Fact]
    public void Float64HasNone() =>
        Assert.All(
            AttentionErrors.Run(new AttentionCase(2, 1, 16, 5, ScalarType.Float64), 33, backward: true, CPU),
            e => Assert.InRange(Math.Max(e.Landmark, e.Causal), 0, 1e-12));
}
