using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Tensors;
using LandmarkSharp.Training;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests;

/// <summary>What is left to the finalizer is native memory that the garbage collector knows nothing of: it must be nothing.</summary>
[Collection(AloneCollection.Name)]
public sealed class NativeMemoryTests
{
    [Fact]
    public void ATrainingStepLeavesOneGradientUntilTheNext()
    {
        var config = TinyModel.Config(3) with { Layers = 4 };
        using var decoder = TinyModel.Create(config);
        foreach (var parameter in decoder.Parameters.Values) parameter.requires_grad_();
        using var layout = BlockLayout.Regular(24, 24, 4, 4);
        using var attention = new DenseAttention(decoder.Rotary, layout);
        var tokens = TinyModel.WithLandmarks(config, TinyModel.Tokens(18)).Select(t => (long)t).ToArray();
        void Step()
        {
            using var scope = NewDisposeScope();
            decoder.Logits(decoder.Forward(tensor(tokens).unsqueeze(0), attention)).logsumexp(-1).sum().backward();
        }
        Step();                                                                             // makes the table of angles
        var before = Count();
        for (var i = 0; i < 5; i++)
        {
            Step();
            Assert.Equal(before, Tensor.TotalCount);
        }
        using (var scope = NewDisposeScope())
        using (no_grad()) decoder.Forward(tensor(tokens).unsqueeze(0), attention);
        Assert.Equal(before - 1, Tensor.TotalCount);                                        // that of the heads turned back last
    }

    [Fact]
    public void BatchesAndSavedModelsLeaveNothing()
    {
        using var folder = new TemporaryFolder();
        using var decoder = TinyModel.Create(TinyModel.Config(3));
        var batch = new BatchMaker(
            new BatchOptions { Rows = 2, Length = 10, BlockLength = 3, LandmarkId = 99 },
            [new(TokenSource.FromTokens([.. Enumerable.Range(0, 50)]), 1)]).Make(0);
        var before = Count();
        new PackedBatch(batch, pinned: false).Dispose();
        Assert.Equal(before, Tensor.TotalCount);
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
            Checkpoint.Save(decoder, folder.Path, type);
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public async Task AServersSessionsLeaveNothing()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        var before = Count();
        using (var scheduler = new Scheduler(engine, new ServerOptions(), new ServerLog(NullLogger<ServerLog>.Instance)))
        {
            scheduler.Start();
            AnswerJob[] jobs = [.. Enumerable.Range(0, 6).Select(i =>
                new AnswerJob("a", [TinyModel.Tokens(100 + (i / 2 * 100))], 2, new GenerationOptions { MaxTokens = 5 }, default))];
            foreach (var job in jobs) scheduler.Submit(job);
            foreach (var job in jobs)
                await foreach (var _ in job.Tokens.ReadAllAsync())
                {
                }
            Assert.True(scheduler.State.CachedBytes > 0);
        }
        Assert.Equal(before, Tensor.TotalCount);
    }

    /// <summary>Tensors there are, when other tests' garbage is gone.</summary>
    private static long Count()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }
}
