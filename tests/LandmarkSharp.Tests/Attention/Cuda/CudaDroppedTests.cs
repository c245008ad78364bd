using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>Decoding in which heads retrieve nothing, by a context-miss token, or fewer blocks than k, by mass.</summary>
public sealed class CudaDroppedTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    public CudaDroppedTests() => LibTorch.Load();

    /// <summary>Heads that retrieve nothing, and choices that end early, in a batch whose sequences have memories of any size.</summary>
    [Fact]
    public void InABatchEachIsDroppedAndEndsByItself()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        DecodeMemory[] memories = [.. Enumerable.Range(0, 18).Select(i => new DecodeMemory(new(i * 9, 1 + (i * 5)), 2, 4, 64, 16, ScalarType.Float32, i))];
        var options = new RetrievalOptions { TopK = 12 };
        foreach (var one in (RetrievalOptions[])[options with { MissCutoff = 0.3 }, options with { Mass = 0.4 }])
        {
            using var together = new CudaRetrieval([.. memories.Select(m => m.Place)], 16, memories[0].Rotary, one, ScalarType.Float32, Cuda);
            var miss = one.MissCutoff is null ? null : memories[0].Miss.to(Cuda);
            var all = together.Attend(stack([.. memories.Select(m => m.Q.squeeze(1))]).to(Cuda), [.. memories.Select(m => m.Held())], tied: false, miss);
            for (var i = 0; i < memories.Length; i++)
            {
                using var attention = new CudaRetrieval([memories[i].Place], 16, memories[0].Rotary, one, ScalarType.Float32, Cuda);
                var alone = attention.Attend(memories[i].Q.to(Cuda), memories[i].Held().Blocks, memories[i].Held().Landmarks, tied: false, miss);
                Close(alone.Output.cpu().squeeze(1), all.Output[i].cpu(), 1e-5);
                if (alone.Chosen is not { } chosen) continue;
                var count = (int)chosen.shape[2];
                Assert.Equal(Numbers(chosen), Numbers(all.Chosen![i, .., ..count]));
                Assert.All(Numbers(all.Chosen[i, .., count..]), b => Assert.Equal(-1, b));
                Close(alone.Gates!.cpu().squeeze(1), all.Gates![i, .., ..count].cpu(), 1e-5);
            }
        }
    }

    /// <summary>Blocks that nobody shall read are not there to be read: a head that is dropped, or a choice that has ended, never touches them.</summary>
    [Fact]
    public void WhatIsDroppedIsNotRead()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var memory = new DecodeMemory(new(60, 20), 2, 4, 64, 8, ScalarType.Float32, 2);
        memory.Blocks.narrow(0, 0, 60).fill_(float.NaN);
        memory.Landmarks.narrow(1, 0, 60).fill_(float.NaN);
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var none = memory.Found(new RetrievalOptions { TopK = 7, Selection = mode, MissCutoff = 1 });
            Assert.True(none.Output.isfinite().all().item<bool>());
            Assert.All(Numbers(none.Chosen!), b => Assert.Equal(-1, b));
            Assert.True(none.Gates!.eq(0).all().item<bool>());
        }
    }

    [Fact]
    public void DroppedHeadsAreCounted()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var memory = new DecodeMemory(new(50, 20), 2, 4, 64, 8, ScalarType.Float32, 6);
        var options = new RetrievalOptions { TopK = 5, MissCutoff = 0.3 };
        using var attention = new RetrievedAttention(50, 20, 1, 8, memory.Rotary, options, ScalarType.Float32, Cuda);
        Assert.Equal("CUDA", attention.Backend);
        var (q, held, miss) = (memory.Q.to(Cuda), memory.Held(), memory.Miss.to(Cuda));
        var expected = memory.Expected(options).Dropped!.Value;
        Assert.InRange(expected, 1, 7);
        Assert.Equal(expected, attention.Attend(q, held.Blocks, held.Landmarks, tied: false, miss: miss).Dropped);
        var second = attention.Attend(q, held.Blocks, held.Landmarks, tied: false, account: false, miss: miss);
        Assert.Null(second.Dropped);
        Assert.Equal(8, second.Retrievals);
        Assert.Equal(2 * expected, attention.DroppedOnCard!.item<int>());
        Assert.Contains("cut-off", Assert.Throws<LandmarkException>(
            () => memory.Found(new RetrievalOptions { TopK = 5 }, miss: true)).Message, StringComparison.Ordinal);
    }

    private static long[] Numbers(Tensor x) => x.numel() == 0 ? [] : x.cpu().contiguous().data<long>().ToArray();
}
