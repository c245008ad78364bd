namespace LandmarkSharp.Attention;

/// <summary>
/// Scores of the landmarks for tiles of queries. The old ones share a slot, so they are one matrix product; a landmark is a row
/// of it and does not depend on its neighbours, so equal keys score equal.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="tied">All landmarks have the same key: the first stands for all.</param>
/// <param name="scores">[H, T, m], of which the rows of queries that retrieve are written.</param>
/// <param name="step">From one row of scores to the next.</param>
internal sealed unsafe class CpuRetrievalScan<TLanes, T>(CpuRetrievalView view, bool tied, float* scores, int step)
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private const int Chunk = 256;                      // landmarks whose scores, 64 KiB, stay in the second cache until they are turned

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly int d = view.Width, tiles = (view.Sizes.Queries + CpuTile.Lanes - 1) / CpuTile.Lanes;
    private readonly int[][]? retrieving = view.Miss is { } miss ? [.. Enumerable.Range(0, view.Heads).Select(miss.Queries)] : null;

    public void Run()
    {
        var work = (long)CpuTile.Lanes * sizes.InMemory * d;
        CpuParallel.Each(view.Heads * tiles, work, ((2 * d) + Chunk) * CpuTile.Lanes, Tile);
    }

    /// <summary>The scores of up to 64 queries of a head.</summary>
    private void Tile(int row, float* scratch)
    {
        var (head, tile) = Math.DivRem(row, tiles);
        var first = tile * CpuTile.Lanes;
        var count = Math.Min(CpuTile.Lanes, (retrieving?[head].Length ?? sizes.Queries) - first);
        if (count <= 0) return;
        float* forms = scratch, columns = forms + (d * CpuTile.Lanes), part = columns + (d * CpuTile.Lanes);
        int Query(int i) => retrieving?[head][first + i] ?? first + i;
        float* Row(int i) => scores + ((((long)head * sizes.Queries) + Query(i)) * step);
        for (var i = 0; i < count; i++) view.Turn(head, Query(i), sizes.K + 1, forms + (i * d));
        CpuTile.ToColumns(forms, d, count, d, 1, columns);
        var scanned = tied ? Math.Min(1, sizes.Old) : sizes.Old;
        for (var at = 0; at < scanned; at += Chunk)
        {
            var landmarks = Math.Min(Chunk, scanned - at);
            CpuProduct<TLanes, T>.Set(
                new Matrix(view.Landmark(head, at), d), landmarks, d, CpuTile.Columns(columns), CpuTile.Padded(count), CpuTile.Columns(part));
            for (int i = 0, run; i < count; i += run)                                       // queries that follow each other, at once
            {
                for (run = 1; i + run < count && Query(i + run) == Query(i) + run;) run++;
                CpuTile.Transpose(part + i, CpuTile.Lanes, landmarks, run, 1, Row(i) + at, step);
            }
        }
        for (var i = 0; i < count; i++)
        {
            if (tied && sizes.Old > 0) new Span<float>(Row(i), sizes.Old).Fill(*Row(i));
            view.ScanRecent(head, 1, Query(i), forms, Row(i), 0);
        }
    }
}
