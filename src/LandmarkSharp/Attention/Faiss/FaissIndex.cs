using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention.Faiss;

/// <summary>
/// FAISS's indexes: it names the keys that score highest by its own sums, and they are scored again as all landmarks are. Keys are added
/// by the thousand, and what is trained is trained anew, on all of them, where there are four times as many, so that an index of so
/// many keys is always the same one.
/// </summary>
internal sealed unsafe class FaissIndex : ILandmarkIndex
{
    private const int Step = 1024;                      // keys that are added at once
    private const int Grown = 4;                        // times as many keys after which lists are made anew
    private const int Neighbours = 32;                  // of a key in the graph
    private const double ListShare = 0.05;              // of the lists that are searched
    private const int Candidates = 64;                  // in the graph
    // More than k are asked for: FAISS rounds otherwise, of equal scores it may find others, and heads that choose together compare
    // shares of what is found.
    private const int Spare = 2, Least = 32;

    private readonly LandmarkIndex kind;
    private readonly int width, found;
    private readonly double effort;
    private readonly nint[] indexes;
    private int covered, trained;
    private float* landmarks;
    private nint landmarkStep;

    /// <summary>An index that covers nothing yet.</summary>
    /// <param name="kind">Which of FAISS's.</param>
    /// <param name="groups">Key-value heads, G.</param>
    /// <param name="width">Width of a head, d.</param>
    /// <param name="topK">Blocks that are chosen, k.</param>
    /// <param name="effort">Searches so many times as many lists or candidates.</param>
    /// <exception cref="LandmarkException">FAISS is not there.</exception>
    public FaissIndex(LandmarkIndex kind, int groups, int width, int topK, double effort)
    {
        (this.kind, this.width, this.effort, found) = (kind, width, effort, Math.Max(Least, Spare * topK));
        indexes = [.. Enumerable.Range(0, groups).Select(_ => Create(Step))];
    }

    /// <inheritdoc/>
    public long Bytes => indexes.Length * (long)covered * (width * sizeof(float) + kind switch
    {
        LandmarkIndex.FaissIvf => sizeof(long) + (width * sizeof(float) * Lists(trained) / Math.Max(1, covered)),
        LandmarkIndex.FaissHnsw => (2 * Neighbours * sizeof(int)) + sizeof(int) + sizeof(long),
        _ => 0,
    });

    /// <inheritdoc/>
    public int Cover(float* landmarks, nint step, int blocks)
    {
        this.landmarks = landmarks;
        landmarkStep = step;
        var (from, to, epoch) = (covered, blocks / Step * Step, Epoch(blocks));
        if (from == to) return covered;
        string? failure = null;
        // A graph forgets nothing, and lists are others with four times the keys: then all is added again.
        var again = to < from || (kind == LandmarkIndex.FaissIvf && epoch != trained);
        CpuParallel.For(indexes.Length, (long)blocks * width, g =>
        {
            try
            {
                var keys = landmarks + (g * step);
                if (again)
                {
                    FaissLibrary.Free(indexes[g]);
                    indexes[g] = 0;
                    indexes[g] = Create(Math.Max(Step, epoch));
                    if (kind == LandmarkIndex.FaissIvf && epoch > 0) FaissLibrary.Train(indexes[g], keys, epoch);
                }
                for (var at = again ? 0 : from; at < to; at += Step) FaissLibrary.Add(indexes[g], keys + ((long)at * width), Step);
            }
            catch (LandmarkException e)                                                     // none may leave a parallel body
            {
                failure = e.Message;
            }
        });
        if (failure is not null) throw new LandmarkException(failure);
        (covered, trained) = (to, epoch);
        return covered;
    }

    /// <inheritdoc/>
    public int Found(int share) => Math.Min(found, covered) * share;

    /// <inheritdoc/>
    public void Find(int group, float* forms, int units, int share, int* blocks, float* scores, int step)
    {
        var (rows, each) = (units * share, Math.Min(found, covered));
        if (each == 0) return;
        var numbers = (long*)NativeMemory.Alloc((nuint)(rows * each), sizeof(long) + sizeof(float));
        try
        {
            FaissLibrary.Search(indexes[group], forms, rows, each, numbers, (float*)(numbers + (rows * each)));
            for (var u = 0; u < units; u++)
            {
                var mine = new Span<int>(blocks + ((long)u * step), each * share);
                for (var i = 0; i < mine.Length; i++) mine[i] = (int)numbers[(u * mine.Length) + i];
                mine.Sort();
                for (var i = mine.Length - 1; i > 0; i--) if (mine[i] == mine[i - 1]) mine[i] = -1;     // heads may find the same
                LandmarkIndexes.Score(
                    landmarks + (group * landmarkStep), width, forms + ((long)u * share * width), share, mine, scores + ((long)u * share * step), step);
            }
        }
        finally
        {
            NativeMemory.Free(numbers);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var index in indexes) FaissLibrary.Free(index);
        indexes.AsSpan().Clear();
    }

    /// <summary>How many keys lists are made of: 1,024 and four times as many, as often as there are so many.</summary>
    private static int Epoch(int blocks)
    {
        var keys = blocks < Step ? 0 : Step;
        while (keys > 0 && keys <= blocks / Grown) keys *= Grown;
        return keys;
    }

    /// <summary>Lists of an inverted file that is made of so many keys.</summary>
    private static int Lists(int keys) => (int)(4 * Math.Sqrt(keys));

    private nint Create(int keys) => kind switch
    {
        LandmarkIndex.FaissFlat => FaissLibrary.Create("Flat", width, 0),
        LandmarkIndex.FaissIvf => FaissLibrary.Create($"IVF{Lists(keys)},Flat", width, Math.Max(1, (int)Math.Min(int.MaxValue, ListShare * effort * Lists(keys)))),
        _ => FaissLibrary.Create($"HNSW{Neighbours}", width, Math.Max(found, (int)Math.Min(int.MaxValue, Candidates * effort))),
    };
}
