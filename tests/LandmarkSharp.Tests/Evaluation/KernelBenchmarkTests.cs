using LandmarkSharp.Evaluation;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class KernelBenchmarkTests
{
    private static readonly DecodeCase Small = new(4, 2, 64, 3, 16, ScalarType.BFloat16);

    public KernelBenchmarkTests() => LibTorch.Load();

    [Fact]
    public void WithoutACardItSaysSo() =>
        Assert.Contains("--device cuda", Assert.Throws<LandmarkException>(() => KernelBenchmark.Run(Small, CPU)).Message, StringComparison.Ordinal);

    [Fact]
    public void SizesThatDoNotFitAreRefused() =>
        Assert.Contains("divide", Assert.Throws<LandmarkException>(
            () => KernelBenchmark.Run(Small with { KeyValueHeads = 3 }, new Device(DeviceType.CUDA, 0))).Message, StringComparison.Ordinal);

    [Fact]
    public void ItTellsOfEverySourceThatTrainingReadingAndDecodingUse()
    {
        Needs.Hopper();
        string[] sources = [.. KernelBenchmark.Run(Small, new Device(DeviceType.CUDA, 0)).Select(p => p.Source)];
        foreach (var source in (string[])["forward_sm90", "backward_sm90", "decode", "prefill_choose", "prefill_lists", "prefill"])
            Assert.Contains($"landmark_{source}.cu", sources);
    }
}
