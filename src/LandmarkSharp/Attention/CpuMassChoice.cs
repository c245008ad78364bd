using System.Buffers;
using System.Numerics.Tensors;

namespace LandmarkSharp.Attention;

/// <summary>
/// Choices that end where they have enough of the landmarks' softmax (landmark-attention.md 3.3): <see cref="BlockSelection.EndByMass"/>
/// on the CPU, for many queries as for few.
/// </summary>
/// <param name="scores">[H, T, m], used up.</param>
/// <param name="step">From one row of scores to the next, m or more.</param>
/// <param name="sizes">k and m among them.</param>
/// <param name="heads">Heads that share a choice; they follow each other.</param>
/// <param name="queries">Queries that do.</param>
/// <param name="mass">The share, below 1.</param>
/// <param name="chosen">[H, T, k], which is written: −1 after the last of fewer than k.</param>
internal sealed unsafe class CpuMassChoice(float* scores, int step, RetrievalSizes sizes, int heads, int queries, double mass, long* chosen)
{
    private readonly int rows = heads * queries;

    /// <summary>Chooses for all queries of so many heads.</summary>
    public void Choose(int allHeads)
    {
        var spans = sizes.Queries / queries;
        CpuParallel.For(
            allHeads / heads * spans, (long)sizes.InMemory * rows, unit => Choose(unit / spans * heads, unit % spans * queries));
    }

    /// <summary>Chooses for those that share a choice, by the first of their heads and queries.</summary>
    public void Choose(int head, int query)
    {
        var (m, k) = (sizes.InMemory, sizes.K);
        var picks = Picks(head, query, 0);
        var (rented, order) = (ArrayPool<float>.Shared.Rent(m), ArrayPool<int>.Shared.Rent(k));
        // A lone row's softmax has the order of its scores, but more of them equal.
        var greatest = rented.AsSpan(0, m);
        for (var i = 0; i < rows; i++)
        {
            var row = Row(head, query, i);
            if (rows == 1) row.CopyTo(greatest);
            TensorPrimitives.SoftMax<float>(row, row);
            if (rows == 1) continue;
            if (i == 0) row.CopyTo(greatest);
            else TensorPrimitives.Max(greatest, row, greatest);
        }
        if (k < m) CpuTopK.Row(greatest, picks);
        else for (var b = 0; b < m; b++) picks[b] = b;

        for (var i = 0; i < k; i++) order[i] = (int)picks[i];
        order.AsSpan(0, k).Sort((a, b) => rented[b].CompareTo(rented[a]) is var less and not 0 ? less : b.CompareTo(a));
        var needed = 1;
        for (var i = 0; i < rows; i++) needed = Math.Max(needed, Needed(Row(head, query, i), order.AsSpan(0, k)));
        var kept = order.AsSpan(0, needed);
        kept.Sort();
        for (var i = 0; i < k; i++) picks[i] = i < needed ? kept[i] : -1;
        for (var i = 1; i < rows; i++) picks.CopyTo(Picks(head, query, i));
        ArrayPool<float>.Shared.Return(rented);
        ArrayPool<int>.Shared.Return(order);
    }

    /// <summary>How many of the blocks, in this order, have enough of a softmax; all where they have not.</summary>
    private int Needed(ReadOnlySpan<float> shares, ReadOnlySpan<int> order)
    {
        var sum = 0.0;
        for (var i = 0; i < order.Length; i++)
            if ((sum += shares[order[i]]) >= BlockSelection.EnoughOf(mass)) return i + 1;
        return order.Length;
    }

    private long Place(int head, int query, int i) => ((long)(head + (i / queries)) * sizes.Queries) + query + (i % queries);

    private Span<float> Row(int head, int query, int i) => new(scores + (Place(head, query, i) * step), sizes.InMemory);

    private Span<long> Picks(int head, int query, int i) => new(chosen + (Place(head, query, i) * sizes.K), sizes.K);
}
