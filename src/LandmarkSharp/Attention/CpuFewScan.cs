namespace LandmarkSharp.Attention;

/// <summary>The scores of landmarks by a few queries, and the choice of blocks.</summary>
/// <param name="view">What is read.</param>
/// <param name="share">Heads of a unit, which share keys.</param>
/// <param name="tied">All landmarks have the same key: the first stands for all.</param>
/// <param name="scores">[H, T, m], which is written.</param>
/// <param name="step">From one row of scores to the next, <see cref="CpuRows.Padded"/> for choosing.</param>
internal sealed unsafe class CpuFewScan(CpuRetrievalView view, int share, bool tied, float* scores, int step)
{
    private const int PartBytes = 1 << 18;              // of landmarks: little beside what a unit reads, much beside taking a part

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly CpuRows rows = CpuRows.Float32;
    private readonly int d = view.Width;
    private readonly int scanned = view.Sizes.Old == 0 ? 0 : tied ? 1 : view.Sizes.Old;

    /// <summary>Parts into which the landmarks of a unit are cut.</summary>
    public int Parts => Math.Max(1, (int)((long)scanned * d * sizeof(float) / PartBytes));

    /// <summary>Scores a part of the landmarks by the heads of a unit.</summary>
    public void Scan(int unit, int part)
    {
        var (first, t) = (unit / sizes.Queries * share, unit % sizes.Queries);
        if ((sizes.Old == 0 && view.Mass == 1) || !view.Retrieves(first, share, t)) return;
        var (from, next) = ((int)((long)scanned * part / Parts), (int)((long)scanned * (part + 1) / Parts));
        // Another thread may be at the part before this one, and at the one after.
        rows.Ask((byte*)view.Landmark(first, from), Math.Min(rows.Chunk(d), next - from), d);
        var forms = stackalloc float[share * d];
        for (var h = 0; h < share; h++) view.Turn(first + h, t, sizes.K + 1, forms + (h * d));  // the old ones share slot 0
        for (int at = from, count; at < next; at += count)
        {
            count = Math.Min(rows.Chunk(d), next - at);
            var landmarks = view.Landmark(first, at);
            var after = at + count < next ? (byte*)(landmarks + (count * d)) : null;
            rows.Dots(forms, share, (byte*)landmarks, count, d, Row(first, t) + at, sizes.Queries * step, after);
        }
        if (part < Parts - 1) return;
        for (var h = 0; h < share && tied; h++) new Span<float>(Row(first + h, t), sizes.Old).Fill(*Row(first + h, t));
        view.ScanRecent(first, share, t, forms, Row(first, t), (nint)sizes.Queries * step);
    }

    /// <summary>The blocks of highest score; for heads that share keys, of the highest share of a head's softmax over landmarks.</summary>
    /// <param name="unit">The unit, all parts of which are scanned.</param>
    /// <param name="chosen">[H, T, k], of which the unit's are written: −1 where none of its heads retrieves, and after the last of fewer than k.</param>
    public void Choose(int unit, long* chosen)
    {
        var (first, t) = (unit / sizes.Queries * share, unit % sizes.Queries);
        var picks = view.Picks(chosen, first, t);
        if (view.Mass < 1 && sizes.K > 0)
        {
            new CpuMassChoice(scores, step, sizes, share, 1, view.Mass, chosen).Choose(first, t);
            view.Tell(first, picks);
            return;
        }
        if (!view.Retrieves(first, share, t))
        {
            picks.Fill(-1);
        }
        else if (sizes.Old == 0)
        {
            for (var b = 0; b < sizes.K; b++) picks[b] = b;
        }
        else
        {
            var best = Row(first, t);
            for (var h = share - 1; h >= 0; h--)
                if (view.Retrieves(first + h, 1, t)) best = Row(first + h, t);
            for (var h = 0; h < share && share > 1; h++)
                if (view.Retrieves(first + h, 1, t)) rows.Greater(Row(first + h, t), sizes.InMemory, best);
            CpuTopK.Row(new(best, sizes.InMemory), picks);
        }
        for (var h = 1; h < share; h++) picks.CopyTo(view.Picks(chosen, first + h, t));
        view.Tell(first, picks);
    }

    private float* Row(int head, int t) => scores + (((long)head * sizes.Queries) + t) * step;
}
