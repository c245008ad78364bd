using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// The choice of blocks where an index finds them: what it finds, the blocks that it does not cover yet, and the recent ones, all scored as
/// <see cref="CpuFewScan"/> scores them. Heads that share a choice compare their shares of a softmax over these.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="index">Finds blocks.</param>
/// <param name="share">Heads that choose together.</param>
internal sealed unsafe class CpuIndexedChoice(CpuRetrievalView view, ILandmarkIndex index, int share)
{
    private const int TileRows = 64;                    // forms that look at a node's keys while these are in the cache

    private const int Few = 16;                         // queries: less is tens of microseconds of work

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly int d = view.Width;

    /// <summary>Chooses.</summary>
    /// <param name="chosen">[H, T, k], which is written; −1 for queries that retrieve nothing.</param>
    /// <exception cref="LandmarkException">The index fails.</exception>
    public void Run(long* chosen)
    {
        var covered = index.Cover(view.Landmark(0, 0), view.LandmarkStep, sizes.Old);
        var row = new Row(index.Found(share), covered, CpuRows.Padded(index.Found(share) + sizes.InMemory - covered));
        var most = Math.Max(1, TileRows / share);
        var (tiles, units) = ((sizes.Queries + most - 1) / most, Math.Min(most, sizes.Queries));
        var work = (long)units * share * row.Step * d;
        LandmarkException? failure = null;
        void One(int item, float* scratch)
        {
            var (unit, tile) = Math.DivRem(item, tiles);
            var first = tile * most;
            try
            {
                Tile(unit * share, first, Math.Min(most, sizes.Queries - first), row, scratch, chosen);
            }
            catch (LandmarkException e)                                                     // of a library; none may leave a parallel body
            {
                failure = e;
            }
        }
        var (count, room) = (view.Heads / share * tiles, units * ((share * (row.Step + d)) + row.Step));
        if (sizes.Queries < Few) CpuParallel.Briefly(count, work, room, One);
        else CpuParallel.Each(count, work, room, One);
        if (failure is not null) throw failure;
    }

    /// <summary>What a unit's scores are of.</summary>
    /// <param name="Found">The first ones: of blocks that the index found.</param>
    /// <param name="Covered">The block that the next one is of; the others follow.</param>
    /// <param name="Step">From one row to the next.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Row(int Found, int Covered, int Step);

    private void Tile(int head, int first, int queries, Row row, float* scratch, long* chosen)
    {
        float* scores = scratch, forms = scores + (queries * share * row.Step);
        var blocks = (int*)(forms + (queries * share * d));
        Span<int> units = stackalloc int[queries];
        var count = 0;
        for (var t = first; t < first + queries; t++)
        {
            if (!view.Retrieves(head, share, t))
            {
                for (var h = 0; h < share; h++) view.Picks(chosen, head + h, t).Fill(-1);
                continue;
            }
            for (var h = 0; h < share; h++) view.Turn(Voice(head, h, t), t, sizes.K + 1, forms + (((count * share) + h) * d));
            units[count++] = t;
        }
        if (count == 0) return;
        var (group, after) = (head / (view.Heads / view.Groups), sizes.Old - row.Covered);
        index.Find(group, forms, count, share, blocks, scores, row.Step);
        CpuRows.Float32.Dots(
            forms, count * share, (byte*)view.Landmark(head, row.Covered), after, d, scores + row.Found, row.Step, null);
        for (var u = 0; u < count; u++) Choose(head, units[u], row, scores + (u * share * row.Step), blocks + (u * row.Step), forms, chosen);
    }

    private void Choose(int head, int t, Row row, float* scores, int* blocks, float* form, long* chosen)
    {
        var count = row.Found + sizes.InMemory - row.Covered;
        for (var h = 0; h < share; h++)
        {
            var own = scores + (h * row.Step);
            view.ScanRecent(Voice(head, h, t), 1, t, form, own + row.Found - row.Covered, 0);
            if (share > 1) CpuRows.Float32.Greater(own, count, h == 0 ? own : scores);
        }
        for (var i = 0; i < row.Found; i++) if (blocks[i] < 0) scores[i] = float.NegativeInfinity;
        Span<long> picks = stackalloc long[sizes.K];
        CpuTopK.Row(new(scores, count), new(blocks, row.Found), row.Covered, picks);
        for (var h = head; h < head + share; h++)
        {
            if (view.Retrieves(h, 1, t)) picks.CopyTo(view.Picks(chosen, h, t));
            else view.Picks(chosen, h, t).Fill(-1);
        }
    }

    /// <summary>The head itself, or in the place of one that retrieves nothing another that does: twice the same changes no maximum.</summary>
    private int Voice(int head, int h, int t)
    {
        var other = h;
        while (!view.Retrieves(head + other, 1, t)) other = (other + 1) % share;
        return head + other;
    }
}
