using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Training;
using TorchSharp;

namespace LandmarkSharp.Tests.Training;

/// <summary>What training costs, and what cards can do.</summary>
public sealed class ModelWorkTests
{
    [Theory]
    [InlineData("NVIDIA H100 80GB HBM3", 989.0)]
    [InlineData("NVIDIA H100 PCIe", 756.0)]
    [InlineData("NVIDIA A100-SXM4-80GB", 312.0)]
    [InlineData("NVIDIA GeForce RTX 4090", 165.0)]
    [InlineData("NVIDIA L40S", 362.0)]
    [InlineData("A card of tomorrow", null)]
    [InlineData("", null)]
    public void CardsAreKnownByName(string name, double? peak) => Assert.Equal(peak * 1e12, ModelWork.CardPeak(name));

    [Fact]
    public void WorkIsSixTimesTheWeightsAndAttention()
    {
        var config = TinyRun.Recipe.Model(299, 2, "any");
        // Two layers of 32·8·(4 + 2 + 2 + 4) and 3·32·48; 300 rows of the output; attention of 4 heads of 8 over 64 / 2 keys, twice.
        Assert.Equal(6 * ((2 * (3072 + 4608)) + (32 * 300) + (2 * 64 * 32)), ModelWork.FlopsPerPosition(config, 64));
        // Frozen weights beside an adapter get no gradients.
        Assert.Equal(
            (4 * ((2 * (3072 + 4608)) + (32 * 300))) + (6 * 2 * 64 * 32),
            ModelWork.FlopsPerPosition(config with { Lora = new LoraOptions() }, 64));
        // A cache of 48 and half a window of 16, whatever the segment.
        Assert.Equal(
            6 * ((2 * (3072 + 4608)) + (32 * 300) + (2 * (16 + (2 * 48)) * 32)),
            ModelWork.FlopsPerPosition(config with { Landmark = null, Recurrence = new Recurrence { Window = 16, Cache = 48 } }, 640));
        Assert.Null(ModelWork.Peak([torch.CPU], torch.ScalarType.BFloat16));
        Assert.Null(ModelWork.Peak([], torch.ScalarType.BFloat16));
    }
}
