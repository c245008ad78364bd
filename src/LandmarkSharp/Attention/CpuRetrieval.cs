using System.Diagnostics;
using System.Runtime.Intrinsics;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Attention;

/// <summary>
/// <see cref="RetrievedAttention"/> with stingy positions for float32 models on the CPU, whatever blocks are kept as. Many queries
/// are scanned and read in tiles (<see cref="CpuRetrievalScan{TLanes, T}"/>, <see cref="CpuRetrievalRead{TLanes, T}"/>), few as in decoding by
/// <see cref="CpuRetrievalFew"/>.
/// </summary>
/// <param name="inMemory">Blocks before the window, m.</param>
/// <param name="keys">Positions of the window, the queries among them, S.</param>
/// <param name="queries">Queries, T: the window's last positions.</param>
/// <param name="length">Positions of a block, L.</param>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="options">k and who shares a choice.</param>
internal sealed unsafe class CpuRetrieval(int inMemory, int keys, int queries, int length, Rotary rotary, RetrievalOptions options)
{
    private const int WorthATile = 16;          // queries: half of the lanes that products go by

    private readonly RetrievalSizes sizes = new(inMemory, keys, queries, length, Math.Min(options.TopK, inMemory));

    /// <summary>Vectors of the tiles; null for none.</summary>
    public AttentionBackend? Tiles { get; init; } =
        queries < WorthATile || CpuDense.Widest == AttentionBackend.CpuScalar ? null : CpuDense.Widest;

    private int K => sizes.K;

    /// <summary>Whether there is a kernel for what is asked.</summary>
    public static bool Serves(RetrievalOptions options, ScalarType type, Device device) =>
        !options.Reference && options.Positions == PositionMode.Stingy && type == ScalarType.Float32 && device.type == DeviceType.CPU;

    /// <inheritdoc cref="RetrievedAttention.Attend"/>
    public Retrieved Attend(
        Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales, Tensor? miss = null, ILandmarkIndex? index = null,
        BlocksChosen? choosing = null)
    {
        using var scope = NewDisposeScope();
        var view = new CpuRetrievalView(
            InRows(q), BlockRead.InSteps(blocks), scales is null ? null : BlockRead.InSteps(scales), BlockRead.InSteps(landmarks), sizes, rotary)
        {
            Mass = options.Mass ?? 1,
            Choosing = choosing,
        };
        view.Miss = miss is null ? null : new CpuMiss(view, Whole(miss), options.Cutoff);
        var result = Attend(view, tied, tied ? Tied(view) : sizes.Old < 1 ? null : index);
        return result with
        {
            Output = result.Output.MoveToOuterDisposeScope(),
            Chosen = result.Chosen?.MoveToOuterDisposeScope(),
            Gates = result.Gates?.MoveToOuterDisposeScope(),
        };
    }

    /// <summary>What chooses where all old landmarks score alike; null where going through them serves as well, or a choice needs all scores.</summary>
    private TiedLandmarks? Tied(CpuRetrievalView view) =>
        sizes.Old >= TiedLandmarks.Worth && view.Mass == 1 && options.Selection is (SelectionMode.PerTokenAndHead or SelectionMode.PerTokenAndGroup)
            ? new TiedLandmarks(K, view.Width) : null;

    private Retrieved Attend(CpuRetrievalView view, bool tied, ILandmarkIndex? index)
    {
        // [T, H, d], which for one query lies as [H, T, d] does.
        var output = queries == 1 ? empty([view.Heads, 1, view.Width], ScalarType.Float32) : empty([queries, view.Heads, view.Width], ScalarType.Float32).transpose(0, 1);
        Tensor? chosen = null, gates = null;
        var to = (float*)Aten.DataPointer(output);
        float* gate = null;
        if (K > 0) gate = (float*)Aten.DataPointer(gates = empty([view.Heads, queries, K], ScalarType.Float32));
        var scanTime = TimeSpan.Zero;
        if (index is null && Tiles is null && CpuRetrievalFew.Chooses(options.Selection, view.Heads, view.Groups))
        {
            var few = new CpuRetrievalFew(view, view.Heads / view.Groups);
            if (K > 0) chosen = empty([view.Heads, queries, K], ScalarType.Int64);
            few.Run(tied, chosen is null ? null : (long*)Aten.DataPointer(chosen), gate, to);
            scanTime = few.ScanTime;
        }
        else
        {
            var start = Stopwatch.GetTimestamp();
            if (K > 0) chosen = index is null ? Choose(view, tied) : Choose(view, index);
            if (chosen is not null) Tell(view, (long*)Aten.DataPointer(chosen));
            scanTime = Stopwatch.GetElapsedTime(start);
            Read(view, chosen is null ? null : (long*)Aten.DataPointer(chosen), gate, to);
        }
        return new Retrieved(output, chosen, gates) { ScanTime = scanTime, Dropped = view.Miss?.Dropped };
    }

    /// <summary>The blocks that queries read, [H, T, k]; −1 for those that retrieve nothing, and after the last of fewer than k.</summary>
    private Tensor Choose(CpuRetrievalView view, bool tied)
    {
        using var scope = NewDisposeScope();
        var step = view.Miss is null ? inMemory : CpuRows.Padded(inMemory);
        var scores = empty([view.Heads, queries, step], ScalarType.Float32);                // of every landmark before the window
        var to = (float*)Aten.DataPointer(scores);
        if (Tiles is null) new CpuRetrievalFew(view, view.Heads / view.Groups).ScanAll(tied, to, step);
        else if (Tiles == AttentionBackend.Cpu512) new CpuRetrievalScan<Lanes512, Vector512<float>>(view, tied, to, step).Run();
        else if (Tiles == AttentionBackend.Cpu256) new CpuRetrievalScan<Lanes256, Vector256<float>>(view, tied, to, step).Run();
        else new CpuRetrievalScan<Lanes1, float>(view, tied, to, step).Run();
        if (view.Miss is { } miss)
        {
            var chosen = empty([view.Heads, queries, K], ScalarType.Int64);
            miss.Choose(to, step, inMemory, options.Selection, (long*)Aten.DataPointer(chosen));
            return chosen.MoveToOuterDisposeScope();
        }
        if (view.Mass < 1)
        {
            var chosen = empty([view.Heads, queries, K], ScalarType.Int64);
            var (heads, tokens) = BlockSelection.Together(options.Selection, view.Heads, view.Groups, queries);
            new CpuMassChoice(to, step, sizes, heads, tokens, view.Mass, (long*)Aten.DataPointer(chosen)).Choose(view.Heads);
            GC.KeepAlive(scores);
            return chosen.MoveToOuterDisposeScope();
        }
        return BlockSelection.Choose(scores, view.Groups, K, options.Selection).contiguous().MoveToOuterDisposeScope();
    }

    private Tensor Choose(CpuRetrievalView view, ILandmarkIndex index)
    {
        var chosen = empty([view.Heads, queries, K], ScalarType.Int64);
        new CpuIndexedChoice(view, index, BlockSelection.Together(options.Selection, view.Heads, view.Groups, queries).Heads)
            .Run((long*)Aten.DataPointer(chosen));
        return chosen;
    }

    /// <summary>Tells what was chosen, at last on all processors: whoever is told may have much to compare.</summary>
    private void Tell(CpuRetrievalView view, long* chosen)
    {
        if (view.Choosing is not { } choosing) return;
        var picks = view.Heads / view.Groups * queries * K;                                 // of the heads that share keys
        void Of(int group, bool now) => choosing(group, new ReadOnlySpan<long>(chosen + ((long)group * picks), picks), now);
        for (var group = 0; group < view.Groups; group++) Of(group, now: false);
        CpuParallel.For(view.Groups, (long)picks * length * view.Width, group => Of(group, now: true));
    }

    private void Read(CpuRetrievalView view, long* chosen, float* gates, float* to)
    {
        if (Tiles is null) new CpuRetrievalFew(view, 1).ReadAll(chosen, gates, to);
        else if (Tiles == AttentionBackend.Cpu512) new CpuRetrievalRead<Lanes512, Vector512<float>>(view, chosen, gates, to).Run();
        else if (Tiles == AttentionBackend.Cpu256) new CpuRetrievalRead<Lanes256, Vector256<float>>(view, chosen, gates, to).Run();
        else new CpuRetrievalRead<Lanes1, float>(view, chosen, gates, to).Run();
    }

    /// <summary>Queries with the numbers of a head one after another, as projections leave them.</summary>
    private static Tensor InRows(Tensor q) => q.stride(2) == 1 ? q : q.contiguous();

    private static Tensor Whole(Tensor x) => x.is_contiguous() ? x : x.contiguous();
}
