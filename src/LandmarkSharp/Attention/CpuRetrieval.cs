using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Attention;

/// <summary>
/// <see cref="RetrievedAttention"/> with stingy positions in float32 on the CPU. Many queries are scanned and read in tiles
/// (<see cref="CpuRetrievalScan{TLanes, T}"/>, <see cref="CpuRetrievalRead{TLanes, T}"/>); of few, as in decoding, each by
/// itself: for each head one pass over the landmarks, then one over the blocks it reads.
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
    public Retrieved Attend(Tensor q, Tensor blocks, Tensor landmarks, bool tied)
    {
        using var scope = NewDisposeScope();
        var rows = q.transpose(0, 1).contiguous();                                          // [T, H, d]: as projections leave it
        var (held, marks) = (blocks.contiguous(), landmarks.contiguous());
        var view = new CpuRetrievalView(rows, held, marks, sizes, rotary);
        var start = Stopwatch.GetTimestamp();
        var chosen = K == 0 ? null : BlockSelection.Choose(Scan(view, tied), view.Groups, K, options.Selection).contiguous(); // [H, T, k]
        var scanTime = Stopwatch.GetElapsedTime(start);
        var gates = chosen is null ? null : empty([view.Heads, queries, K], ScalarType.Float32);
        var output = empty([queries, view.Heads, view.Width], ScalarType.Float32);
        Read(view, chosen is null ? null : (long*)Aten.DataPointer(chosen), gates is null ? null : (float*)Aten.DataPointer(gates),
            (float*)Aten.DataPointer(output));
        GC.KeepAlive(rows);
        GC.KeepAlive(held);
        GC.KeepAlive(marks);
        return new Retrieved(
            output.transpose(0, 1).MoveToOuterDisposeScope(), chosen?.MoveToOuterDisposeScope(), gates?.MoveToOuterDisposeScope())
        {
            ScanTime = scanTime,
        };
    }

    /// <summary>Every query's score of every landmark before the window, [H, T, m].</summary>
    private Tensor Scan(CpuRetrievalView view, bool tied)
    {
        var scores = empty([view.Heads, queries, inMemory], ScalarType.Float32);
        var to = (float*)Aten.DataPointer(scores);
        if (Tiles == AttentionBackend.Cpu512) new CpuRetrievalScan<Lanes512, Vector512<float>>(view, tied, to).Run();
        else if (Tiles == AttentionBackend.Cpu256) new CpuRetrievalScan<Lanes256, Vector256<float>>(view, tied, to).Run();
        else if (Tiles == AttentionBackend.CpuScalar) new CpuRetrievalScan<Lanes1, float>(view, tied, to).Run();
        else ScanEach(view, tied, to);
        return scores;
    }

    private void Read(CpuRetrievalView view, long* chosen, float* gates, float* to)
    {
        if (Tiles == AttentionBackend.Cpu512) new CpuRetrievalRead<Lanes512, Vector512<float>>(view, chosen, gates, to).Run();
        else if (Tiles == AttentionBackend.Cpu256) new CpuRetrievalRead<Lanes256, Vector256<float>>(view, chosen, gates, to).Run();
        else if (Tiles == AttentionBackend.CpuScalar) new CpuRetrievalRead<Lanes1, float>(view, chosen, gates, to).Run();
        else
        {
            var work = (K + ((long)keys / length) + 1) * view.Tokens * view.Width * 2;
            CpuParallel.For(view.Heads * queries, work, row =>
            {
                var (head, t) = Math.DivRem(row, queries);
                ReadOne(view, head, t, chosen + ((long)row * K), gates + ((long)row * K), to + ((((long)t * view.Heads) + head) * view.Width));
            });
        }
    }

    private void ScanEach(CpuRetrievalView view, bool tied, float* to) =>
        CpuParallel.For(view.Heads * queries, (long)inMemory * view.Width, row =>
        {
            var (head, t) = Math.DivRem(row, queries);
            var form = stackalloc float[view.Width];
            var result = to + ((long)row * inMemory);
            var old = sizes.Old;
            view.Turn(head, t, K + 1, form);                                                // the old ones share slot 0
            if (old > 0) CpuVectors.Dots(form, view.Landmark(head, 0), tied ? 1 : old, view.Width, result);
            if (tied && old > 0) new Span<float>(result, old).Fill(*result);
            view.ScanRecent(head, t, form, result);
        });

    /// <summary>
    /// One query's output: Σ P_b · A_b · V_b over the chosen blocks and those of the window. The gate's softmax is carried
    /// along: what was added is scaled down whenever a block brings a higher logit.
    /// </summary>
    private void ReadOne(CpuRetrievalView view, int head, int t, long* chosen, float* gates, float* output)
    {
        var d = view.Width;
        float* form = stackalloc float[d], scores = stackalloc float[view.Tokens];
        var (max, sum) = (float.NegativeInfinity, 0f);
        new Span<float>(output, d).Clear();
        var (own, offset) = Math.DivRem(sizes.First + t, length);
        for (var r = 0; r < K; r++)
        {
            view.TurnChosen(head, t, r, chosen[r], form);
            gates[r] = CpuVectors.Dot(form, view.Landmark(head, chosen[r]), d);
            Add(chosen[r], view.Tokens, gates[r]);
        }
        for (var b = 0; b <= own; b++)
        {
            view.Turn(head, t, -b, form);
            if (b < own) Add(inMemory + b, view.Tokens, CpuVectors.Dot(form, view.Landmark(head, inMemory + b), d));
            else Add(inMemory + b, Math.Min(offset + 1, view.Tokens), null);
        }
        TensorPrimitives.Divide(new Span<float>(output, d), sum, new Span<float>(output, d));
        for (var r = 0; r < K; r++)
            gates[r] = MathF.Exp(gates[r] - max) / sum;

        // A block's landmark score is its logit in the gate; the own block, not closed yet, has the logarithm of its sum.
        void Add(long block, int count, float? landmark)
        {
            var all = new Span<float>(scores, count);
            CpuVectors.Dots(form, view.Keys(head, block), count, d, scores);
            var highest = TensorPrimitives.Max<float>(all);
            TensorPrimitives.Subtract(all, highest, all);
            TensorPrimitives.Exp(all, all);
            var total = TensorPrimitives.Sum<float>(all);
            var logit = landmark ?? highest + MathF.Log(total);
            if (logit > max)
            {
                var shrink = MathF.Exp(max - logit);
                TensorPrimitives.Multiply(new Span<float>(output, d), shrink, new Span<float>(output, d));
                (max, sum) = (logit, sum * shrink);
            }
            var mass = MathF.Exp(logit - max);
            sum += mass;
            TensorPrimitives.Multiply(all, mass / total, all);
            CpuVectors.AddRows(scores, view.Values(head, block), count, d, output);
        }
    }
}
