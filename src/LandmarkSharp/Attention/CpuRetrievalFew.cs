using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Retrieval for a few queries, as in decoding, where memory decides. A unit is one query of the heads that choose together; its
/// landmarks and its blocks are cut into parts, and each thread takes the next part when it has done one: first all scans, then
/// what was chosen. Parts do not depend on how many threads there are, nor does any sum.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="share">Heads of a unit, which share keys and choose the same blocks.</param>
internal sealed unsafe class CpuRetrievalFew(CpuRetrievalView view, int share)
{
    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly int units = view.Heads / share * view.Sizes.Queries;
    private long scanned;

    /// <summary>How long landmarks were scanned and blocks chosen, which comes first.</summary>
    public TimeSpan ScanTime { get; private set; }

    /// <summary>Whether queries choose without looking at other groups and tokens, as <see cref="Run"/> does.</summary>
    public static bool Chooses(SelectionMode mode, int heads, int groups) =>
        mode == SelectionMode.PerTokenAndGroup || (mode == SelectionMode.PerTokenAndHead && heads == groups);

    /// <summary>Scans, chooses and reads.</summary>
    /// <param name="tied">All landmarks have the same key: the first stands for all.</param>
    /// <param name="chosen">[H, T, k], which is written.</param>
    /// <param name="gates">[H, T, k]: the gates P of the chosen blocks, which are written.</param>
    /// <param name="output">[T, H, d], which is written.</param>
    public void Run(bool tied, long* chosen, float* gates, float* output)
    {
        var start = Stopwatch.GetTimestamp();
        var step = CpuRows.Padded(sizes.InMemory);
        var scores = (float*)NativeMemory.Alloc((nuint)view.Heads * (nuint)sizes.Queries * (nuint)step, sizeof(float));
        try
        {
            var scan = new CpuFewScan(view, share, tied, scores, step);
            Read(scan.Parts, scan.Scan, unit => scan.Choose(unit, chosen), chosen, gates, output);
        }
        finally
        {
            NativeMemory.Free(scores);
        }
        ScanTime = Stopwatch.GetElapsedTime(start, scanned);
    }

    /// <summary>Scores every landmark by every head and query that retrieves, [H, T, m].</summary>
    /// <param name="tied">All landmarks have the same key: the first stands for all.</param>
    /// <param name="scores">[H, T, m], which is written.</param>
    /// <param name="step">From one row of scores to the next.</param>
    public void ScanAll(bool tied, float* scores, int step)
    {
        var scan = new CpuFewScan(view, share, tied, scores, step);
        var work = (long)sizes.InMemory / scan.Parts * view.Width * share;
        CpuParallel.Briefly(units * scan.Parts, work, 0, (item, _) => scan.Scan(item / scan.Parts, item % scan.Parts));
    }

    /// <summary>Reads what was chosen, [H, T, k], and writes gates and output as <see cref="Run"/> does.</summary>
    public void ReadAll(long* chosen, float* gates, float* output) => Read(1, (_, _) => { }, _ => { }, chosen, gates, output);

    private void Read(int scans, Action<int, int> scan, Action<int> choose, long* chosen, float* gates, float* output)
    {
        int[] scansLeft = new int[units], readsLeft = new int[units];
        scansLeft.AsSpan().Fill(scans);
        using var read = new CpuFewRead(view, share, chosen, gates, output);
        readsLeft.AsSpan().Fill(read.Parts);
        var first = units * scans;
        var work = (sizes.InMemory + ((long)read.Blocks * view.Tokens * 2)) * view.Width * share / (scans + read.Parts);
        CpuParallel.Briefly(first + (units * read.Parts), work, read.Scratch, (item, scratch) =>
        {
            if (item < first)
            {
                var unit = item / scans;
                scan(unit, item % scans);
                if (Interlocked.Decrement(ref scansLeft[unit]) == 0)
                {
                    choose(unit);
                    Volatile.Write(ref scanned, Stopwatch.GetTimestamp());
                    read.Begin(unit, scratch);
                    Volatile.Write(ref scansLeft[unit], -1);                                // may be read
                }
            }
            else
            {
                var (unit, part) = Math.DivRem(item - first, read.Parts);
                // Scans are taken first, so at the worst another thread is at the last of them.
                for (var wait = default(SpinWait); Volatile.Read(ref scansLeft[unit]) >= 0;) wait.SpinOnce(sleep1Threshold: -1);
                read.Read(unit, part, scratch);
                if (Interlocked.Decrement(ref readsLeft[unit]) == 0) read.End(unit);
            }
        });
    }
}
