using LandmarkSharp.Evaluation;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class VerificationTests(ITestOutputHelper output)
{
    public static TheoryData<string> Files => Golden.AttentionFiles;

    [Theory]
    [MemberData(nameof(Files))]
    public void AttentionFilesPass(string file) =>
        Passes(Verification.Run(Golden.Path("attention", file)), "weights", "out", "grad_q", "grad_k", "grad_v");

    [Theory]
    [InlineData("hf_llama")]
    [InlineData("hf_qwen3")]
    public void PlainModelsPass(string folder) => Passes(Verification.Run(Golden.Path(folder)), "logits", "generated");

    [Fact]
    public void LandmarkModelPassesInBothModes() => Passes(
        Verification.Run(Golden.Path("landmark_llama")), "train_logits",
        "per_token_and_head.logits", "per_token_and_head.generated", "per_token_and_head.decode_logits",
        "max_over_tokens.logits", "max_over_tokens.generated", "max_over_tokens.decode_logits");

    private void Passes(VerificationResult result, params string[] names)
    {
        foreach (var check in result.Checks)
            output.WriteLine($"{check.Name} {check.MaxError:G3} of {check.Tolerance:G3}");
        Assert.Equal(names, result.Checks.Select(c => c.Name));
        Assert.All(result.Checks, c => Assert.True(c.Pass, $"{c.Name} is off by {c.MaxError}"));
    }
}
