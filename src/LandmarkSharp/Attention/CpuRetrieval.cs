using System.Diagnostics;
using System.Numerics.Tensors;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Attention;

/// <summary>
/// <see cref="RetrievedAttention"/> with stingy positions in float32 on the CPU: for each query and head one pass over the
/// landmarks, then one over the blocks it reads. A block stands a whole number of blocks before the window, so its form of
/// the query is one row of a table of angles, and nothing is laid out for matrix products.
/// </summary>
/// <param name="inMemory">Blocks before the window, m.</param>
/// <param name="keys">Positions of the window, the queries among them, S.</param>
/// <param name="queries">Queries, T: the window's last positions.</param>
/// <param name="length">Positions of a block, L.</param>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="options">k and who shares a choice.</param>
internal sealed unsafe class CpuRetrieval(int inMemory, int keys, int queries, int length, Rotary rotary, RetrievalOptions options)
{
    private readonly int k = Math.Min(options.TopK, inMemory);
    private readonly float scale = (float)(rotary.ScoreScale / Math.Sqrt(rotary.HeadDim));
    private readonly float[] angles = rotary.Distances(keys + ((Math.Min(options.TopK, inMemory) + 1) * length));

    private int Old => inMemory - k;

    /// <summary>Whether there is a kernel for what is asked.</summary>
    public static bool Serves(RetrievalOptions options, ScalarType type, Device device) =>
        !options.Reference && options.Positions == PositionMode.Stingy && type == ScalarType.Float32 && device.type == DeviceType.CPU;

    /// <inheritdoc cref="RetrievedAttention.Attend"/>
    public Retrieved Attend(Tensor q, Tensor blocks, Tensor landmarks, bool tied)
    {
        using var scope = NewDisposeScope();
        var rows = q.transpose(0, 1).contiguous();                                          // [T, H, d]: as projections leave it
        var (held, marks) = (blocks.contiguous(), landmarks.contiguous());
        var heads = (int)q.shape[0];
        var view = new View(
            (float*)Aten.DataPointer(rows), (float*)Aten.DataPointer(held), (float*)Aten.DataPointer(marks),
            heads, (int)blocks.shape[1], (int)blocks.shape[3], (int)q.shape[2], landmarks.shape[1]);
        var start = Stopwatch.GetTimestamp();
        var chosen = k == 0 ? null : BlockSelection.Choose(Scan(view, tied), view.Groups, k, options.Selection).contiguous(); // [H, T, k]
        var scanTime = Stopwatch.GetElapsedTime(start);
        var gates = chosen is null ? null : empty([heads, queries, k], ScalarType.Float32);
        var output = empty([queries, heads, view.Width], ScalarType.Float32);
        var picks = chosen is null ? null : (long*)Aten.DataPointer(chosen);
        float* gate = gates is null ? null : (float*)Aten.DataPointer(gates), to = (float*)Aten.DataPointer(output);
        var work = (k + ((long)keys / length) + 1) * view.Tokens * view.Width * 2;
        CpuParallel.For(heads * queries, work, row =>
        {
            var (head, t) = Math.DivRem(row, queries);
            ReadOne(view, head, t, picks + ((long)row * k), gate + ((long)row * k), to + ((((long)t * heads) + head) * view.Width));
        });
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
    private Tensor Scan(View view, bool tied)
    {
        var scores = empty([view.Heads, queries, inMemory], ScalarType.Float32);
        var to = (float*)Aten.DataPointer(scores);
        CpuParallel.For(view.Heads * queries, (long)inMemory * view.Width, row =>
        {
            var (head, t) = Math.DivRem(row, queries);
            var form = stackalloc float[view.Width];
            var result = to + ((long)row * inMemory);
            var marks = view.Landmark(head, 0);
            Turn(view, head, t, k + 1, form);                                               // the old ones share slot 0
            if (Old > 0) CpuVectors.Dots(form, marks, tied ? 1 : Old, view.Width, result);
            if (tied && Old > 0) new Span<float>(result, Old).Fill(*result);
            for (var recent = 0; recent < k; recent++)
            {
                Turn(view, head, t, k - recent, form);
                result[Old + recent] = CpuVectors.Dot(form, marks + ((long)(Old + recent) * view.Width), view.Width);
            }
        });
        return scores;
    }

    /// <summary>
    /// One query's output: Σ P_b · A_b · V_b over the chosen blocks and those of the window. The gate's softmax is carried
    /// along: what was added is scaled down whenever a block brings a higher logit.
    /// </summary>
    private void ReadOne(View view, int head, int t, long* chosen, float* gates, float* output)
    {
        var d = view.Width;
        float* form = stackalloc float[d], scores = stackalloc float[view.Tokens];
        var (max, sum) = (float.NegativeInfinity, 0f);
        new Span<float>(output, d).Clear();
        var (own, offset) = Math.DivRem(keys - queries + t, length);
        for (var r = 0; r < k; r++)
        {
            var slot = chosen[r] >= Old ? r + 1 : r;
            Turn(view, head, t, k + 1 - slot, form);
            gates[r] = CpuVectors.Dot(form, view.Landmark(head, chosen[r]), d);
            Add(chosen[r], view.Tokens, gates[r]);
        }
        for (var b = 0; b <= own; b++)
        {
            Turn(view, head, t, -b, form);
            if (b < own) Add(inMemory + b, view.Tokens, CpuVectors.Dot(form, view.Landmark(head, inMemory + b), d));
            else Add(inMemory + b, Math.Min(offset + 1, view.Tokens), null);
        }
        TensorPrimitives.Divide(new Span<float>(output, d), sum, new Span<float>(output, d));
        for (var r = 0; r < k; r++)
            gates[r] = MathF.Exp(gates[r] - max) / sum;

        // A block's landmark score is its logit in the gate; the own block, not closed yet, has the logarithm of its sum.
        void Add(long block, int count, float? landmark)
        {
            var all = new Span<float>(scores, count);
            var keyRows = view.Keys(head, block);
            CpuVectors.Dots(form, keyRows, count, d, scores);
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
            CpuVectors.AddRows(scores, keyRows + ((long)view.Tokens * d), count, d, output);
        }
    }

    /// <summary>A query in the form of a block that starts so many blocks before the window, scaled.</summary>
    private void Turn(View view, int head, int t, int blocksBefore, float* form)
    {
        var distance = keys - queries + t + (blocksBefore * length);
        fixed (float* row = &angles[distance * view.Width])
            CpuVectors.Rotate(view.Query(t, head), row, scale, view.Width, form);
    }

    /// <summary>The tensors of a call as addresses.</summary>
    private sealed class View(float* q, float* blocks, float* landmarks, int heads, int groups, int tokens, int width, long capacity)
    {
        public int Heads => heads;

        public int Groups => groups;

        /// <summary>Regular tokens of a block, ℓ.</summary>
        public int Tokens => tokens;

        /// <summary>Width of a head, d.</summary>
        public int Width => width;

        public float* Query(int t, int head) => q + ((((long)t * heads) + head) * width);

        /// <summary>A block's keys, [ℓ, d]; its values follow.</summary>
        public float* Keys(int head, long block) => blocks + (((block * groups) + Group(head)) * 2 * tokens * width);

        public float* Landmark(int head, long block) => landmarks + (((Group(head) * capacity) + block) * width);

        private int Group(int head) => head / (heads / groups);
    }
}
