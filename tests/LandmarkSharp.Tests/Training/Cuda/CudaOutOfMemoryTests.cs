using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Cuda;

/// <summary>A card that is full: forward, backward or optimizer, whatever finds no room, the run ends clearly and goes on later.</summary>
public sealed class CudaOutOfMemoryTests : IDisposable
{
    private const long Piece = 64 << 20;
    private static readonly Device Card = new(DeviceType.CUDA, 0);

    /// <summary>Small steps, of which a checkpoint is kept, then ones that need gigabytes.</summary>
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        HiddenSize = 256,
        IntermediateSize = 704,
        Layers = 4,
        Heads = 4,
        KeyValueHeads = 4,
        HeadDim = 64,
        Steps = 6,
        ComputeType = "bfloat16",
        Stages =
        [
            new TrainingStage { Window = 512, Rows = 1, TaskShare = 0 },
            new TrainingStage { FromStep = 3, Window = 512, Rows = 96, TaskShare = 0 },
        ],
    };

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void ARunThatFindsTheCardFullEndsClearlyAndGoesOn()
    {
        Needs.Kernels();
        var cancel = TestContext.Current.CancellationToken;
        TrainingRun Into(string name) => tiny.Into(name) with { Devices = [Card], SaveEvery = 1, Keep = 9 };
        var (late, fits) = (0, false);
        for (var pieces = 1; !fits; pieces += 3)
        {
            Assert.InRange(pieces, 1, 200);
            var (run, others) = (Into($"room-{pieces}"), Fill());
            try
            {
                foreach (var piece in others[..pieces]) piece.Dispose();
                using var trainer = new Trainer(Recipe, run);
                fits = trainer.Run(cancel: cancel);
            }
            catch (LandmarkException e)
            {
                Assert.Matches(@"^There is not enough memory on cuda:0 for (1|96) rows of 512 positions; give the stage fewer rows [^\n]*$", e.Message);
            }
            catch (Exception e) when (OutOfMemory.Is(e) && !Directory.Exists(run.Output))
            {
                // The model itself had no room: nothing was begun.
            }
            finally
            {
                foreach (var piece in others) piece.Dispose();
            }
            var kept = Directory.Exists(run.Output) ? Directory.GetDirectories(run.Output, "step-*") : [];
            foreach (var folder in kept)
            {
                using var checkpoint = Checkpoint.Load(folder, CPU);
                Assert.All(checkpoint.Parameters, p => Assert.True(p.Value.isfinite().all().item<bool>(), $"{folder} {p.Key}"));
            }
            if (fits || kept.Length == 0) continue;
            late++;
            Assert.InRange(kept.Length, 3, 5);          // those of the small steps, whatever became of the large ones
            if (late % 4 != 1) continue;
            using var onward = new Trainer(Recipe, run);
            Assert.Equal(kept.Length, onward.Step);
            Assert.True(onward.Run(cancel: cancel));
            Assert.Equal(6, tiny.Metrics($"room-{pieces}").Length);
        }
        Assert.True(late >= 4, $"Only {late} runs failed after a checkpoint; the large steps need more memory.");
    }

    /// <summary>Takes all there is, also what the allocator had kept.</summary>
    private static List<Tensor> Fill()
    {
        List<Tensor> all = [];
        try
        {
            while (true) all.Add(empty(Piece, ScalarType.Byte, Card));
        }
        catch (Exception e) when (OutOfMemory.Is(e))
        {
            return all;
        }
    }
}
