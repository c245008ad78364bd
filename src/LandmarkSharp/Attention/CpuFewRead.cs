using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// The output of a few queries: Σ P_b · A_b · V_b over the chosen blocks and those of the window. Past blocks enter the gate with
/// their landmarks' scores, the own one with its tokens', so the gate is known before the first past block is read. These are
/// read in parts of a few, whose sums are added in order.
/// </summary>
internal sealed unsafe class CpuFewRead : IDisposable
{
    private const int PartBlocks = 6;

    private readonly CpuRetrievalView view;
    private readonly RetrievalSizes sizes;
    private readonly CpuRows rows;
    private readonly int share, d, step, chunk, row;
    private readonly long* chosen;
    private readonly float* gates, output, weights, sums;

    /// <summary>Makes room for what is known of each unit.</summary>
    /// <param name="view">What is read.</param>
    /// <param name="share">Heads of a unit, which share keys and chose the same blocks.</param>
    /// <param name="chosen">[H, T, k].</param>
    /// <param name="gates">[H, T, k]: the gates P of the chosen blocks, which are written.</param>
    /// <param name="output">[T, H, d], which is written.</param>
    public CpuFewRead(CpuRetrievalView view, int share, long* chosen, float* gates, float* output)
    {
        (this.view, this.share, sizes, rows, d) = (view, share, view.Sizes, view.Rows, view.Width);
        this.chosen = chosen;
        this.gates = gates;
        this.output = output;
        (step, chunk, row) = (CpuRows.Padded(view.Tokens), rows.Chunk(d), d * rows.Size);
        Blocks = sizes.K + ((sizes.Keys - 1) / sizes.Length);
        Parts = (Blocks + PartBlocks - 1) / PartBlocks;
        var queries = (long)view.Heads * sizes.Queries;
        weights = (float*)NativeMemory.Alloc((nuint)(queries * (Blocks + ((long)Parts * d))), sizeof(float));
        sums = weights + (queries * Blocks);
    }

    /// <summary>Past blocks of the last query: those it chose and those of the window.</summary>
    public int Blocks { get; }

    /// <summary>Parts into which the past blocks of a unit are cut.</summary>
    public int Parts { get; }

    /// <summary>Floats that a thread works with.</summary>
    public int Scratch => share * (d + step);

    /// <summary>The gate of a unit's heads, and what their own block adds to the output.</summary>
    public void Begin(int unit, float* scratch)
    {
        var (first, t, own, chose, past) = Unit(unit);
        var (block, count) = (sizes.InMemory + own, Math.Min(((sizes.First + t) % sizes.Length) + 1, view.Tokens));
        byte* keys = view.Keys(first, block), values = view.Values(first, block);
        float* forms = scratch, scores = scratch + (share * d), to = Output(first, t);
        // Landmarks lie anywhere, and come while the own block is read.
        rows.Ask(keys, Math.Min(chunk, count), d);
        for (var b = 0; b < past; b++) CpuRows.Float32.Ask((byte*)view.Landmark(first, Block(first, t, chose, b)), 1, d);
        for (var h = 0; h < share; h++) view.Turn(first + h, t, -own, forms + (h * d));
        Score(forms, keys, count, scores, values);
        Scale(scores, count, view.KeyScales(first, block));
        for (var b = 0; b < past; b++)
        {
            Turn(first, t, chose, b, forms);
            CpuRows.Float32.Dots(
                forms, share, (byte*)view.Landmark(first, Block(first, t, chose, b)), 1, d, Weights(first, t) + b, sizes.Queries * Blocks, null);
        }
        for (var h = 0; h < share; h++)
        {
            var gate = new Span<float>(Weights(first + h, t), past);
            var total = rows.Exponentials(scores + (h * step), count, out var highest);
            var part = Gate(gate, chose, highest + MathF.Log(total), first + h, t);
            var told = new Span<float>(gates + ((((long)(first + h) * sizes.Queries) + t) * sizes.K), sizes.K);
            gate[..chose].CopyTo(told);
            told[chose..].Clear();
            var all = new Span<float>(scores + (h * step), count);
            TensorPrimitives.Multiply(all, part / total, all);
        }
        Scale(scores, count, view.ValueScales(first, block));
        new Span<float>(to, share * d).Clear();
        Add(scores, values, count, to, past > 0 ? view.Keys(first, Block(first, t, chose, 0)) : null);
    }

    /// <summary>Reads one part of a unit's past blocks.</summary>
    public void Read(int unit, int part, float* scratch)
    {
        var (first, t, _, chose, past) = Unit(unit);
        float* forms = scratch, scores = scratch + (share * d), to = Sums(unit, part);
        var (from, next) = (part * PartBlocks, Math.Min(past, (part + 1) * PartBlocks));
        if (from < next) rows.Ask(view.Keys(first, Block(first, t, chose, from)), Math.Min(chunk, view.Tokens), d);
        new Span<float>(to, share * d).Clear();
        for (var b = from; b < next; b++)
        {
            Turn(first, t, chose, b, forms);
            var block = Block(first, t, chose, b);
            byte* keys = view.Keys(first, block), values = view.Values(first, block);
            Score(forms, keys, view.Tokens, scores, values);
            Scale(scores, view.Tokens, view.KeyScales(first, block));
            for (var h = 0; h < share; h++) rows.Softmax(scores + (h * step), view.Tokens, Weights(first + h, t)[b]);
            Scale(scores, view.Tokens, view.ValueScales(first, block));
            Add(scores, values, view.Tokens, to, b + 1 < next ? view.Keys(first, Block(first, t, chose, b + 1)) : null);
        }
    }

    /// <summary>Adds up a unit's parts.</summary>
    public void End(int unit)
    {
        var (first, t, _, _, _) = Unit(unit);
        var to = new Span<float>(Output(first, t), share * d);
        for (var part = 0; part < Parts; part++) TensorPrimitives.Add(to, new ReadOnlySpan<float>(Sums(unit, part), share * d), to);
        for (var h = 0; h < share && sizes.K > 0; h++)      // read along with heads that retrieve, and gated by 0
            if (!view.Retrieves(first + h, 1, t)) view.Picks(chosen, first + h, t).Fill(-1);
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(weights);

    /// <summary>Scores of a block's keys by a unit's heads, while what is read after them is asked for.</summary>
    private void Score(float* forms, byte* keys, int count, float* scores, byte* after)
    {
        for (int at = 0, n; at < count; at += n)
        {
            n = Math.Min(chunk, count - at);
            rows.Dots(forms, share, keys + (at * row), n, d, scores + at, step, at + n < count ? keys + ((at + n) * row) : after);
        }
    }

    /// <summary>Adds a block's weighted values to a unit's heads, while what is read after them is asked for.</summary>
    private void Add(float* weights, byte* values, int count, float* to, byte* after)
    {
        for (int at = 0, n; at < count; at += n)
        {
            n = Math.Min(chunk, count - at);
            rows.AddRows(weights + at, step, share, values + (at * row), n, d, to, at + n < count ? values + ((at + n) * row) : after);
        }
    }

    /// <summary>Turns what a head's past blocks bring to the gate into their part of it, and gives the own block's.</summary>
    private float Gate(Span<float> past, int chose, float own, int head, int t)
    {
        if (view.Miss is not { } miss) return Softmax(past, own, 1);
        if (miss.Retrieves(head, t)) Softmax(past[..chose], float.NegativeInfinity, miss.OfMemory(head, t));
        else past[..chose].Clear();
        return Softmax(past[chose..], own, miss.OfWindow(head, t));
    }

    /// <summary>Turns logits into a softmax over them and one more, whose share is given; together they sum to a mass.</summary>
    private static float Softmax(Span<float> logits, float other, float mass)
    {
        var max = logits.IsEmpty ? other : MathF.Max(other, TensorPrimitives.Max<float>(logits));
        var one = MathF.Exp(other - max);
        var sum = one;
        foreach (ref var p in logits) sum += p = MathF.Exp(p - max);
        TensorPrimitives.Divide(logits, sum / mass, logits);
        return one * mass / sum;
    }

    /// <summary>
    /// A unit's first head and query, that query's own block, counted from the window's first, how many blocks it chose, and its past
    /// blocks with those.
    /// </summary>
    private (int First, int Query, int Own, int Chose, int Past) Unit(int unit)
    {
        var (n, t) = Math.DivRem(unit, sizes.Queries);
        var own = (sizes.First + t) / sizes.Length;
        var chose = view.Count(chosen, n * share, t);
        return (n * share, t, own, chose, chose + own);
    }

    /// <summary>The b-th past block: those that were chosen come first.</summary>
    private long Block(int head, int t, int chose, int b) => b < chose ? view.Picks(chosen, head, t)[b] : sizes.InMemory + b - chose;

    /// <summary>The queries of a unit's heads in the form of the b-th past block, [share, d].</summary>
    private void Turn(int first, int t, int chose, int b, float* forms)
    {
        for (var h = 0; h < share; h++)
        {
            if (b < chose) view.TurnChosen(first + h, t, b, chose, Block(first, t, chose, b), forms + (h * d));
            else view.Turn(first + h, t, chose - b, forms + (h * d));
        }
    }

    /// <summary>Scores or weights of a block's rows, as the rows' scales say.</summary>
    private void Scale(float* scores, int count, float* scales)
    {
        for (var h = 0; h < share && scales != null; h++)
        {
            var all = new Span<float>(scores + (h * step), count);
            TensorPrimitives.Multiply(all, new ReadOnlySpan<float>(scales, count), all);
        }
    }

    private float* Output(int head, int t) => output + ((((long)t * view.Heads) + head) * d);

    private float* Weights(int head, int t) => weights + ((((long)head * sizes.Queries) + t) * Blocks);

    private float* Sums(int unit, int part) => sums + ((((long)unit * Parts) + part) * share * d);
}
