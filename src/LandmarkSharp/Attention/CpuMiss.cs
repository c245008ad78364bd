using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// The context-miss token's mass for every query, P_miss, and who retrieves (landmark-attention.md 1.7). The token competes with the
/// window alone, the tokens of the query's own block and the landmarks before it, so nothing of the memory is looked at for it.
/// </summary>
internal sealed unsafe class CpuMiss
{
    private readonly float[] mass;          // [H, T]
    private readonly double cutoff;
    private readonly int heads, queries, share, k;

    /// <summary>Computes the masses.</summary>
    /// <param name="view">What is read.</param>
    /// <param name="keys">[G, d]: the token's keys, contiguous, not rotated.</param>
    /// <param name="cutoff">The mass below which nothing is retrieved.</param>
    public CpuMiss(CpuRetrievalView view, Tensor keys, double cutoff)
    {
        var sizes = view.Sizes;
        (heads, queries, share, k, this.cutoff) = (view.Heads, sizes.Queries, view.Heads / view.Groups, sizes.K, cutoff);
        mass = new float[heads * queries];
        var key = (float*)Tensors.Aten.DataPointer(keys);
        var work = (view.Tokens + (sizes.Keys / sizes.Length) + 1L) * view.Width;
        CpuParallel.Each(heads * queries, work, view.Width + CpuRows.Padded(view.Tokens), (row, scratch) =>
        {
            var (head, t) = Math.DivRem(row, queries);
            float* form = scratch, scores = scratch + view.Width;
            var logit = view.OwnLogit(head, t, form, scores);
            var own = (sizes.First + t) / sizes.Length;
            for (var n = 0; n < own; n++)
            {
                view.Turn(head, t, -n, form);
                logit = Add(logit, CpuRows.Float32.Dot(form, view.Landmark(head, sizes.InMemory + n), view.Width));
            }
            view.TurnToMiss(head, t, form);
            mass[row] = 1 / (1 + MathF.Exp(logit - CpuRows.Float32.Dot(form, key + ((long)(head / share) * view.Width), view.Width)));
        });
        GC.KeepAlive(keys);
    }

    /// <summary>Queries, heads counted, that retrieve nothing though there are blocks.</summary>
    public long Dropped => k == 0 ? 0 : mass.LongCount(m => m < cutoff);

    /// <summary>Whether a query retrieves.</summary>
    public bool Retrieves(int head, int t) => !(mass[(head * queries) + t] < cutoff);

    /// <summary>What is left of a query's attention for its window.</summary>
    public float OfWindow(int head, int t) => 1 - mass[(head * queries) + t];

    /// <summary>What a query's retrieved blocks share: 0 where none are.</summary>
    public float OfMemory(int head, int t) => Retrieves(head, t) ? mass[(head * queries) + t] : 0;

    /// <summary>The queries of a head that retrieve, in order.</summary>
    public int[] Queries(int head) => [.. Enumerable.Range(0, queries).Where(t => Retrieves(head, t))];

    /// <summary>The blocks that queries read; those that retrieve nothing have no part in a choice that is shared.</summary>
    /// <param name="scores">[H, T, step], of the queries that retrieve; used up.</param>
    /// <param name="step">From one row of scores to the next, <see cref="CpuRows.Padded"/>.</param>
    /// <param name="blocks">Scores in a row, m.</param>
    /// <param name="mode">Who shares a choice.</param>
    /// <param name="chosen">[H, T, k], which is written: −1 for queries that retrieve nothing.</param>
    public void Choose(float* scores, int step, int blocks, SelectionMode mode, long* chosen)
    {
        new Span<long>(chosen, heads * queries * k).Fill(-1);
        var (together, tokens) = BlockSelection.Together(mode, heads, heads / share, queries);
        var spans = queries / tokens;
        CpuParallel.For(heads / together * spans, (long)blocks * together * tokens, unit =>
        {
            var (head, t) = (unit / spans * together, unit % spans * tokens);
            List<int> rows = [];
            for (var h = head; h < head + together; h++)
                for (var q = t; q < t + tokens; q++)
                    if (Retrieves(h, q)) rows.Add((h * queries) + q);
            if (rows.Count == 0) return;
            var first = scores + ((long)rows[0] * step);
            for (var i = 0; i < rows.Count && rows.Count > 1; i++) CpuRows.Float32.Greater(scores + ((long)rows[i] * step), blocks, first);
            Span<long> picks = stackalloc long[k];
            if (blocks == k) for (var b = 0; b < k; b++) picks[b] = b;
            else CpuTopK.Row(new(first, blocks), picks);
            foreach (var row in rows) picks.CopyTo(new(chosen + ((long)row * k), k));
        });
    }

    /// <summary>log(eᵃ + eᵇ).</summary>
    private static float Add(float a, float b) => MathF.Max(a, b) + MathF.Log(1 + MathF.Exp(-MathF.Abs(a - b)));
}
