using System.Buffers;
using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// Retrieval for a few queries, as in decoding, where memory decides: the heads that share a key-value head go over its
/// landmarks together, choose while the scores are still at hand, and read, each such group on a thread of its own.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="gates">[H, T, k]: the gates P of the chosen blocks, which are written.</param>
/// <param name="output">[T, H, d].</param>
internal sealed unsafe class CpuRetrievalFew(CpuRetrievalView view, float* gates, float* output)
{
    private const int Chunk = 64;                       // landmarks that all heads score before the next: they stay in the first cache

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly int d = view.Width, share = view.Heads / view.Groups;
    private long scanTicks;

    /// <summary>How long landmarks were scanned and blocks chosen, the mean of the threads.</summary>
    public TimeSpan ScanTime { get; private set; }

    /// <summary>Whether queries choose without looking at other groups and tokens, as <see cref="Run"/> does.</summary>
    public static bool Chooses(SelectionMode mode, int heads, int groups) =>
        mode == SelectionMode.PerTokenAndGroup || (mode == SelectionMode.PerTokenAndHead && heads == groups);

    /// <summary>Scans, chooses and reads.</summary>
    /// <param name="chosen">[H, T, k], which is written.</param>
    /// <param name="tied">All landmarks have the same key: the first stands for all.</param>
    public void Run(long* chosen, bool tied)
    {
        var (units, threads) = (view.Groups * sizes.Queries, TorchSharp.torch.get_num_threads());
        var scores = ArrayPool<float>.Shared.Rent(Math.Max(1, view.Heads * sizes.Queries * sizes.InMemory));
        var blocks = sizes.K + (sizes.Keys / sizes.Length) + 1;
        var scanned = sizes.K == sizes.InMemory || tied ? 1 : sizes.InMemory;
        // With fewer groups than threads the scan, which is most of the work in a long text, is cut as well.
        var parts = units >= threads ? 1 : Math.Clamp(threads / units, 1, (scanned / (4 * Chunk)) + 1);
        fixed (float* room = scores)
        {
            var all = room;                             // the body below may not use what is fixed
            if (parts > 1)
                CpuParallel.For(units * parts, (long)scanned / parts * d * share, row =>
                    Scan(row / parts, row % parts, parts, tied, all));
            CpuParallel.For(units, ((parts == 1 ? scanned : 0) + ((long)blocks * view.Tokens * 2)) * d * share, unit =>
            {
                var start = Stopwatch.GetTimestamp();
                if (parts == 1) Scan(unit, 0, 1, tied, all);
                Choose(unit, chosen, all);
                Interlocked.Add(ref scanTicks, Stopwatch.GetTimestamp() - start);
                Read(unit / sizes.Queries * share, share, unit % sizes.Queries, chosen);
            });
        }
        ArrayPool<float>.Shared.Return(scores);
        ScanTime = Stopwatch.GetElapsedTime(0, scanTicks / Math.Min(units, threads));
    }

    /// <summary>Scores every landmark by every head and query, [H, T, m].</summary>
    public void ScanAll(bool tied, float* scores) =>
        CpuParallel.For(view.Groups * sizes.Queries, (long)sizes.InMemory * d * share, unit => Scan(unit, 0, 1, tied, scores));

    /// <summary>Reads what each head and query chose, [H, T, k].</summary>
    public void ReadAll(long* chosen)
    {
        var blocks = sizes.K + (sizes.Keys / sizes.Length) + 1;
        CpuParallel.For(view.Heads * sizes.Queries, (long)blocks * view.Tokens * d * 2, row =>
            Read(row / sizes.Queries, 1, row % sizes.Queries, chosen));
    }

    /// <summary>The scores of a part of the landmarks by a group's heads.</summary>
    private void Scan(int unit, int part, int parts, bool tied, float* scores)
    {
        if (sizes.K == sizes.InMemory) return;
        var (group, t) = Math.DivRem(unit, sizes.Queries);
        var first = group * share;
        var forms = stackalloc float[share * d];
        for (var h = 0; h < share; h++) view.Turn(first + h, t, sizes.K + 1, forms + (h * d));  // the old ones share slot 0
        var old = tied ? Math.Min(1, sizes.Old) : sizes.Old;
        var (from, next) = ((int)((long)old * part / parts), (int)((long)old * (part + 1) / parts));
        for (int at = from, count; at < next; at += count)
        {
            count = Math.Min(Chunk, next - at);
            var landmarks = view.Landmark(first, at);
            for (var h = 0; h < share; h++) CpuVectors.Dots(forms + (h * d), landmarks, count, d, Row(first + h, t, scores) + at);
        }
        if (part < parts - 1) return;
        for (var h = 0; h < share; h++)
        {
            var row = Row(first + h, t, scores);
            if (tied && sizes.Old > 0) new Span<float>(row, sizes.Old).Fill(*row);
            view.ScanRecent(first + h, t, forms, row);
        }
    }

    /// <summary>The blocks of highest score; for heads that share keys, of the highest share of a head's softmax over landmarks.</summary>
    private void Choose(int unit, long* chosen, float* scores)
    {
        var (group, t) = Math.DivRem(unit, sizes.Queries);
        var (first, m) = (group * share, sizes.InMemory);
        var picks = new Span<long>(chosen + (((long)first * sizes.Queries) + t) * sizes.K, sizes.K);
        if (sizes.K == m)
        {
            for (var b = 0; b < m; b++) picks[b] = b;
        }
        else
        {
            var best = new Span<float>(Row(first, t, scores), m);
            for (var h = 0; h < share && share > 1; h++)
            {
                var row = new Span<float>(Row(first + h, t, scores), m);
                TensorPrimitives.Subtract(row, TensorPrimitives.Max<float>(row), row);
                TensorPrimitives.Exp(row, row);
                TensorPrimitives.Divide(row, TensorPrimitives.Sum<float>(row), row);
                if (h > 0) TensorPrimitives.Max(best, row, best);
            }
            CpuTopK.Row(best, picks);
        }
        for (var h = 1; h < share; h++)
            picks.CopyTo(new Span<long>(chosen + ((((long)(first + h) * sizes.Queries) + t) * sizes.K), sizes.K));
    }

    /// <summary>
    /// The output of heads that share keys and chose the same blocks: Σ P_b · A_b · V_b over the chosen blocks and those of the
    /// window, a block for all heads before the next.
    /// </summary>
    private void Read(int first, int heads, int t, long* chosen)
    {
        var picks = chosen + ((((long)first * sizes.Queries) + t) * sizes.K);
        float* form = stackalloc float[d], scores = stackalloc float[view.Tokens], max = stackalloc float[heads], sums = stackalloc float[heads];
        new Span<float>(max, heads).Fill(float.NegativeInfinity);
        new Span<float>(sums, heads).Clear();
        for (var h = 0; h < heads; h++) new Span<float>(Output(first + h, t), d).Clear();
        for (var r = 0; r < sizes.K; r++)
        {
            Ask(view.Keys(first, r + 1 < sizes.K ? picks[r + 1] : sizes.InMemory));
            for (var h = 0; h < heads; h++)
            {
                view.TurnChosen(first + h, t, r, picks[r], form);
                var gate = CpuVectors.Dot(form, view.Landmark(first, picks[r]), d);
                Gates(first + h, t)[r] = gate;
                Add(first + h, t, picks[r], view.Tokens, gate, form, scores, ref max[h], ref sums[h]);
            }
        }
        var (own, offset) = Math.DivRem(sizes.First + t, sizes.Length);
        for (var b = 0; b <= own; b++)
        {
            var (block, count) = (sizes.InMemory + b, b < own ? view.Tokens : Math.Min(offset + 1, view.Tokens));
            for (var h = 0; h < heads; h++)
            {
                view.Turn(first + h, t, -b, form);
                float? gate = b < own ? CpuVectors.Dot(form, view.Landmark(first, block), d) : null;
                Add(first + h, t, block, count, gate, form, scores, ref max[h], ref sums[h]);
            }
        }
        for (var h = 0; h < heads; h++)
        {
            var to = new Span<float>(Output(first + h, t), d);
            TensorPrimitives.Divide(to, sums[h], to);
            foreach (ref var gate in new Span<float>(Gates(first + h, t), sizes.K)) gate = MathF.Exp(gate - max[h]) / sums[h];
        }
    }

    /// <summary>
    /// Adds a block to a head's output. A block's landmark score is its logit in the gate; the own block, not closed yet, has the
    /// logarithm of its sum. The gate's softmax is carried along: what was added is scaled down whenever a logit is higher.
    /// </summary>
    private void Add(
        int head, int t, long block, int count, float? landmark, float* form, float* scores, ref float max, ref float sum)
    {
        var all = new Span<float>(scores, count);
        var to = new Span<float>(Output(head, t), d);
        CpuVectors.Dots(form, view.Keys(head, block), count, d, scores);
        var highest = TensorPrimitives.Max<float>(all);
        TensorPrimitives.Subtract(all, highest, all);
        TensorPrimitives.Exp(all, all);
        var total = TensorPrimitives.Sum<float>(all);
        var logit = landmark ?? highest + MathF.Log(total);
        if (logit > max)
        {
            var shrink = MathF.Exp(max - logit);
            TensorPrimitives.Multiply(to, shrink, to);
            (max, sum) = (logit, sum * shrink);
        }
        var mass = MathF.Exp(logit - max);
        sum += mass;
        TensorPrimitives.Multiply(all, mass / total, all);
        CpuVectors.AddRows(scores, view.Values(head, block), count, d, Output(head, t));
    }

    /// <summary>Asks for the pages of a block, where the processor does not read ahead by itself.</summary>
    private void Ask(float* keys)
    {
        if (!Sse.IsSupported) return;
        var bytes = (long)view.Tokens * d * 2 * sizeof(float);
        for (var at = 0L; at < bytes; at += 64) Sse.Prefetch1((byte*)keys + at);
    }

    private float* Output(int head, int t) => output + ((((long)t * view.Heads) + head) * d);

    private float* Gates(int head, int t) => gates + ((((long)head * sizes.Queries) + t) * sizes.K);

    private float* Row(int head, int t, float* scores) => scores + ((((long)head * sizes.Queries) + t) * sizes.InMemory);
}
