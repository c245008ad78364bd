namespace LandmarkSharp.Attention;

/// <summary>
/// Scores of the landmarks for tiles of queries. The old ones share a slot, so they are one matrix product; a landmark is a row
/// of it and does not depend on its neighbours, so equal keys score equal.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="tied">All landmarks have the same key: the first stands for all.</param>
/// <param name="scores">[H, T, m].</param>
internal sealed unsafe class CpuRetrievalScan<TLanes, T>(CpuRetrievalView view, bool tied, float* scores)
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private const int Chunk = 256;                      // landmarks whose scores, 64 KiB, stay in the second cache until they are turned

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly int d = view.Width, tiles = (view.Sizes.Queries + CpuTile.Lanes - 1) / CpuTile.Lanes;

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
        var count = Math.Min(CpuTile.Lanes, sizes.Queries - first);
        float* forms = scratch, columns = forms + (d * CpuTile.Lanes), part = columns + (d * CpuTile.Lanes);
        var to = scores + ((((long)head * sizes.Queries) + first) * sizes.InMemory);
        for (var t = 0; t < count; t++) view.Turn(head, first + t, sizes.K + 1, forms + (t * d));
        CpuTile.ToColumns(forms, d, count, d, 1, columns);
        var scanned = tied ? Math.Min(1, sizes.Old) : sizes.Old;
        for (var at = 0; at < scanned; at += Chunk)
        {
            var landmarks = Math.Min(Chunk, scanned - at);
            CpuProduct<TLanes, T>.Set(
                new Matrix(view.Landmark(head, at), d), landmarks, d, CpuTile.Columns(columns), CpuTile.Padded(count), CpuTile.Columns(part));
            CpuTile.Transpose(part, CpuTile.Lanes, landmarks, count, 1, to + at, sizes.InMemory);
        }
        for (var t = 0; t < count; t++)
        {
            var result = to + ((long)t * sizes.InMemory);
            if (tied && sizes.Old > 0) new Span<float>(result, sizes.Old).Fill(*result);
            view.ScanRecent(head, first + t, forms, result);
        }
    }
}
