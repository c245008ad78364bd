using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Keys and values of a model on a card that lie in this machine's memory.</summary>
public sealed class PinnedStorageTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    public PinnedStorageTests() => LibTorch.Load();

    [Theory]
    [InlineData(ScalarType.BFloat16, PositionMode.Stingy)]
    [InlineData(ScalarType.Float32, PositionMode.Stingy)]
    [InlineData(ScalarType.Float32, PositionMode.True)]
    public void WhereKeysAndValuesLieChangesNothing(ScalarType type, PositionMode positions)
    {
        Needs.Kernels();
        // Passes that grow the memory, then tokens one by one.
        int[] passes = [.. Enumerable.Repeat(96, 12), .. Enumerable.Repeat(1, 40), 500, 1, 7];
        using var scope = NewDisposeScope();
        var length = passes.Sum();
        Tensor Make(int heads) => randn([1, heads, length, 64]).to(type).to(Cuda);
        var (queries, keys, values) = (Make(8), Make(2), Make(2));
        Assert.Equal(Read(false), Read(true));

        float[] Read(bool onHost)
        {
            using var scope = NewDisposeScope();
            var rotary = new RotaryScaling().Create(64);
            using var memory = new BlockMemory(
                1, 16, 512, rotary, new RetrievalOptions { TopK = 4, WindowBlocks = 3, Positions = positions, HostBlocks = onHost }, type, Cuda);
            List<float> outputs = [];
            var at = 0;
            foreach (var pass in passes)
            {
                for (var (left, count) = (pass, 0); left > 0; left -= count, at += count)
                {
                    count = Math.Min(left, memory.Room);
                    Tensor Part(Tensor all) => all.narrow(2, at, count).contiguous();
                    memory.Begin(count);
                    var output = memory.Attend(0, Part(queries), Part(keys), Part(values));
                    memory.End();
                    outputs.AddRange(output.to(ScalarType.Float32).cpu().contiguous().data<float>());
                }
            }
            return [.. outputs];
        }
    }

    [Fact]
    public void ItGrowsWhereItIsAndGivesItsMemoryBack()
    {
        Needs.Kernels();
        var shape = new BlockShape(2, 15, 64, ScalarType.BFloat16, ScalarType.BFloat16);
        for (var round = 0; round < 3; round++)
        {
            using var scope = NewDisposeScope();
            using var storage = new PinnedStorage(shape, Cuda);
            storage.Grow(5, 0);
            var first = Aten.DataPointer(storage.Blocks);
            var (numbers, keys) = (randn_like(storage.Blocks), randn_like(storage.Landmarks));
            storage.Blocks.copy_(numbers);
            storage.Landmarks.copy_(keys);
            storage.Grow(20_000, 5);                    // more than is pinned at once
            Assert.Equal(first, Aten.DataPointer(storage.Blocks));
            Assert.True(storage.Blocks.narrow(0, 0, 5).equal(numbers).all().item<bool>());
            Assert.True(storage.Landmarks.narrow(1, 0, 5).equal(keys).all().item<bool>());
            storage.Blocks.narrow(0, 19_999, 1).fill_(2);
            Assert.Equal(2, storage.Blocks[19_999].mean([0L, 1, 2, 3], type: ScalarType.Float32).item<float>());
        }
    }
}
