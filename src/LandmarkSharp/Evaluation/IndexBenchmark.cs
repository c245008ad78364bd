using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>What an index costs and finds, in one layer.</summary>
/// <param name="Index">Which.</param>
/// <param name="Landmarks">Of each key-value head.</param>
/// <param name="BuildSeconds">To cover them, all heads.</param>
/// <param name="Bytes">Beside the landmark keys, all heads.</param>
/// <param name="TokenSeconds">To choose for a token by itself, all heads: the median.</param>
/// <param name="PassSeconds">The same for a token of a pass, as a text is read.</param>
/// <param name="Recall">The share of the blocks that scoring all of them chooses.</param>
public sealed record IndexTiming(
    LandmarkIndex Index, int Landmarks, double BuildSeconds, long Bytes, double TokenSeconds, double PassSeconds, double Recall);

/// <summary>Measures indexes by the keys and queries of a layer, over any number of landmarks. Blocks are not there: nothing of them is read that counts.</summary>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="blockLength">Positions of a block, L.</param>
/// <param name="options">k and who shares a choice.</param>
public sealed class IndexBenchmark(Rotary rotary, int blockLength, RetrievalOptions options)
{
    private const int Tokens = 48, MostWindows = 8;
    private const long ScoreBytes = 1L << 30;           // what all scores of a pass may take

    /// <summary>Measures indexes one after another, all against scoring everything.</summary>
    /// <param name="keys">[G, landmarks and the window's, d], as <see cref="LandmarkKeys.Grown"/> makes them.</param>
    /// <param name="queries">[W, H, S, d]: whole windows.</param>
    /// <param name="indexes">Which.</param>
    /// <param name="cancel">Stops between them.</param>
    public IEnumerable<IndexTiming> Measure(
        Tensor keys, Tensor queries, IReadOnlyList<LandmarkIndex> indexes, CancellationToken cancel = default)
    {
        var exact = Lookups(keys, queries, LandmarkIndex.Exact, null);
        foreach (var index in indexes)
        {
            cancel.ThrowIfCancellationRequested();
            if (index == LandmarkIndex.Exact)
            {
                yield return exact.Timing;
                continue;
            }
            using var held = LandmarkIndexes.Create(options with { Index = index }, (int)keys.shape[0], (int)keys.shape[2])!;
            yield return Lookups(keys, queries, index, held, exact.Chosen).Timing;
        }
    }

    private (IndexTiming Timing, List<long[]> Chosen) Lookups(
        Tensor keys, Tensor queries, LandmarkIndex which, ILandmarkIndex? index, List<long[]>? expected = null)
    {
        using var scope = NewDisposeScope();
        var (groups, window) = (keys.shape[0], (int)queries.shape[2]);
        var landmarks = (int)keys.shape[1] - (window / blockLength);
        var built = Stopwatch.StartNew();
        if (index is not null) Cover(index, keys, landmarks);
        built.Stop();
        // All blocks are the same one.
        var blocks = zeros([1, groups, 2, blockLength - 1, keys.shape[2]]).expand(keys.shape[1], -1, -1, -1, -1);
        Retrieved Ask(Tensor q, int last)
        {
            using var reading = new RetrievedAttention(
                landmarks, last, (int)q.shape[1], blockLength, rotary, options with { Index = LandmarkIndex.Exact, IndexEffort = 1 }, ScalarType.Float32);
            return reading.AttendBy(index, q, blocks, keys, false, null, true, null);
        }

        var windows = Math.Min(MostWindows, (int)queries.shape[0]);
        List<double> alone = [];
        for (var i = 0; i < Tokens; i++)
        {
            using var step = NewDisposeScope();
            var place = i * 53 % window;                                                    // 53: everywhere in the window, in no order
            alone.Add(Ask(queries[i % windows].narrow(1, place, 1), place + 1).ScanTime.TotalSeconds);
        }
        alone.Sort();

        var part = (int)Math.Clamp(ScoreBytes / (sizeof(float) * queries.shape[1] * landmarks), 16, window);
        var (choosing, count, same, of) = (TimeSpan.Zero, 0, 0L, 0L);
        List<long[]> chosen = [];
        for (var w = 0; w < windows; w++)
        {
            using var step = NewDisposeScope();
            var read = Ask(queries[w].narrow(1, window - part, part), window);
            var picks = read.Chosen!.contiguous().data<long>().ToArray();
            chosen.Add(picks);
            (choosing, count) = (choosing + read.ScanTime, count + part);
            if (expected is null) continue;
            var k = options.TopK;
            same += picks.Chunk(k).Zip(expected[w].Chunk(k), (a, b) => a.Intersect(b).Count()).Sum();
            of += picks.Length;
        }
        return (new IndexTiming(
            which, landmarks, index is null ? 0 : built.Elapsed.TotalSeconds, index?.Bytes ?? 0, alone[Tokens / 2],
            choosing.TotalSeconds / count, expected is null ? 1 : (double)same / of), chosen);
    }

    private unsafe void Cover(ILandmarkIndex index, Tensor keys, int landmarks)
    {
        index.Cover((float*)Aten.DataPointer(keys), (nint)keys.stride(0), landmarks - options.TopK);
        GC.KeepAlive(keys);
    }
}
