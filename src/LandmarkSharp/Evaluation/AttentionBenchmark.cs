using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>The attention that <see cref="AttentionBenchmark"/> measures.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads, a divisor of those.</param>
/// <param name="HeadDim">Width of a head.</param>
/// <param name="Block">Positions of a block, its landmark counted.</param>
/// <param name="Type">Type of the tensors.</param>
/// <param name="Backend">What computes landmark attention; the fastest there is when null.</param>
public sealed record AttentionCase(
    int Heads, int KeyValueHeads, int HeadDim, int Block, ScalarType Type, AttentionBackend? Backend = null)
{
    /// <summary>This case, if there is such attention.</summary>
    /// <exception cref="LandmarkException">There is none.</exception>
    internal AttentionCase Checked() => HeadDim >= 1 && KeyValueHeads >= 1 && Heads >= 1 && Heads % KeyValueHeads == 0
        ? this
        : throw new LandmarkException(
            $"Attention of {Heads} heads of width {HeadDim} over {KeyValueHeads} key-value heads is not possible: "
            + "give at least one of each, and key-value heads that divide the heads.");
}

/// <summary>Landmark attention and causal attention at one length, the best of some repeats.</summary>
/// <param name="Backend">What computed landmark attention.</param>
/// <param name="Tokens">Positions of the sequence, landmarks counted.</param>
/// <param name="Backward">Whether the backward pass was measured, and not the forward one.</param>
/// <param name="Landmark">Seconds of landmark attention.</param>
/// <param name="Causal">Seconds of libtorch's causal attention.</param>
/// <param name="Flops">
/// Operations of causal attention: 4·T²·H·d/2 forward, 2.5 times those backward. Both are counted so, for landmarks add none.
/// </param>
/// <param name="Peak">Operations a second of libtorch's matrix product of that type, in the same run.</param>
public sealed record AttentionTiming(
    AttentionBackend Backend, int Tokens, bool Backward, double Landmark, double Causal, double Flops, double Peak)
{
    /// <summary>Landmark attention's time over causal attention's.</summary>
    public double Ratio => Landmark / Causal;
}

/// <summary>Measures dense landmark attention beside libtorch's causal attention, in turns, so that both meet the same machine.</summary>
public static class AttentionBenchmark
{
    // One run of each compiles kernels and finds memory; more are not needed.
    private const int WarmUp = 1;
    private const int QueuedRuns = 10;

    /// <summary>Measures one length.</summary>
    /// <param name="shape">What is measured.</param>
    /// <param name="tokens">Positions of the sequence.</param>
    /// <param name="repeats">Runs of each, of which the best counts.</param>
    /// <param name="backward">Whether to measure the backward pass too.</param>
    /// <param name="device">Where.</param>
    /// <param name="cancel">Stops between runs.</param>
    /// <returns>Forward, and backward if it was asked for.</returns>
    /// <exception cref="LandmarkException">There is no such attention, or the back end asked for cannot compute it.</exception>
    public static IReadOnlyList<AttentionTiming> Run(
        AttentionCase shape, int tokens, int repeats, bool backward, Device device, CancellationToken cancel = default)
    {
        shape.Checked();
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(tokens, tokens, shape.Block, shape.Block, device);
        Tensor Make(int heads) => randn(1, heads, tokens, shape.HeadDim, shape.Type, device).requires_grad_(backward);
        var (q, k, v) = (Make(shape.Heads), Make(shape.KeyValueHeads), Make(shape.KeyValueHeads));
        var gradient = randn(1, shape.Heads, tokens, shape.HeadDim, shape.Type, device);
        var backend = AttentionBackends.With(shape.Backend, () => AttentionBackends.For(q, k, v, layout, 1 / Math.Sqrt(shape.HeadDim)));
        Func<Tensor>[] attentions =
        [
            () => AttentionBackends.With(shape.Backend, () => LandmarkAttention.Attend(q, k, v, layout)),
            () => Aten.ScaledDotProductAttention(q, k, v, causal: true, enableGqa: shape.Heads != shape.KeyValueHeads),
        ];
        // A card's work is queued: only many runs between two waits show what it takes, and not what the host does.
        var queued = device.type == DeviceType.CUDA && backend != AttentionBackend.Reference ? QueuedRuns : 1; // that one keeps a matrix each
        var best = new double[2, 2];                                                        // [attention, direction]
        for (var run = 0; run < repeats + WarmUp; run++)
        {
            for (var a = 0; a < 2; a++)
            {
                cancel.ThrowIfCancellationRequested();
                using var turn = NewDisposeScope();
                var outputs = new Tensor[queued];
                Keep(ref best[a, 0], Seconds(device, queued, i => outputs[i] = attentions[a]()), run);
                if (!backward) continue;
                Keep(ref best[a, 1], Seconds(device, queued, i => Backward(outputs[i])), run);
            }
        }

        // Without the sum over passes that a second one would make.
        void Backward(Tensor output)
        {
            output.backward([gradient]);
            foreach (var x in (Tensor[])[q, k, v]) x.grad = null;
        }

        var (flops, peak) = (2.0 * tokens * tokens * shape.Heads * shape.HeadDim, Peak(shape.Type, device));
        AttentionTiming forward = new(backend, tokens, false, best[0, 0], best[1, 0], flops, peak);
        return backward ? [forward, new(backend, tokens, true, best[0, 1], best[1, 1], 2.5 * flops, peak)] : [forward];
    }

    /// <summary>Operations a second of libtorch's product of two square matrices: what this machine can do.</summary>
    private static double Peak(ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        var side = device.type == DeviceType.CUDA ? 8192 : 1024;
        var (x, y) = (randn(side, side, type, device), randn(side, side, type, device));
        var best = double.PositiveInfinity;
        for (var run = 0; run < 20; run++)
        {
            using var turn = NewDisposeScope();
            best = Math.Min(best, Seconds(device, 1, _ => x.matmul(y)));
        }
        return 2.0 * side * side * side / best;
    }

    private static void Keep(ref double best, double seconds, int run) =>
        best = run <= WarmUp ? seconds : Math.Min(best, seconds);

    private static double Seconds(Device device, int runs, Action<int> work)
    {
        Wait(device);
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < runs; i++) work(i);
        Wait(device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds / runs;
    }

    private static void Wait(Device device)
    {
        if (device.type == DeviceType.CUDA) cuda.synchronize(device);
    }
}
