using LandmarkSharp.Attention.Faiss;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Finds, among the landmark keys of one layer, those that may score highest (docs/index.md). What it finds depends on keys alone, and on
/// how many it covers, never on what was asked or covered before: so how a text is cut into calls changes nothing.
/// </summary>
internal unsafe interface ILandmarkIndex : IDisposable
{
    /// <summary>Bytes it takes beside the landmark keys, without what others have too.</summary>
    long Bytes { get; }

    /// <summary>Covers as many of the first blocks as it can, no more and no less.</summary>
    /// <param name="landmarks">[G, n, d]: the keys, which stay as they are while they are covered.</param>
    /// <param name="step">From one head's keys to the next one's.</param>
    /// <param name="blocks">How many it may cover; fewer than it did if a pass was given up.</param>
    /// <returns>How many it covers.</returns>
    int Cover(float* landmarks, nint step, int blocks);

    /// <summary>How many blocks it finds for heads that choose together.</summary>
    int Found(int share);

    /// <summary>Finds and scores blocks, by any number of threads at once.</summary>
    /// <param name="group">The key-value head.</param>
    /// <param name="forms">[units, share, d]: what chooses, a unit being a query of the heads that choose together.</param>
    /// <param name="units">How many.</param>
    /// <param name="share">Heads of a unit.</param>
    /// <param name="blocks">[units, step]: the first <see cref="Found"/> of each row are written; −1 where there is none.</param>
    /// <param name="scores">[units, share, step]: likewise, as <see cref="CpuRows.Dots"/> scores them; −∞ where there is none.</param>
    /// <param name="step">From one row to the next.</param>
    void Find(int group, float* forms, int units, int share, int* blocks, float* scores, int step);
}

/// <summary>The indexes by their names.</summary>
internal static unsafe class LandmarkIndexes
{
    /// <summary>A layer's index; null where all landmarks are scored.</summary>
    /// <param name="options">Which, and how hard it looks.</param>
    /// <param name="groups">Key-value heads.</param>
    /// <param name="width">Width of a head, d.</param>
    /// <param name="shared">What a hierarchical one has in common with those of other texts; null for nothing.</param>
    public static ILandmarkIndex? Create(RetrievalOptions options, int groups, int width, SharedNodes? shared = null) => options.Index switch
    {
        LandmarkIndex.Exact => null,
        LandmarkIndex.Hierarchical => new HierarchicalIndex(groups, width, options.IndexEffort, shared),
        LandmarkIndex.Int8 => new Int8Index(groups, width, options.TopK, options.IndexEffort),
        LandmarkIndex.FaissFlat or LandmarkIndex.FaissIvf or LandmarkIndex.FaissHnsw =>
            new FaissIndex(options.Index, groups, width, options.TopK, options.IndexEffort),
        _ => throw new LandmarkException($"The index {options.Index} is not known."),
    };

    /// <summary>Throws where there is no index for such a model.</summary>
    /// <exception cref="LandmarkException">It is asked for, or FAISS is and is not there.</exception>
    public static void Check(RetrievalOptions options, ScalarType type, Device device)
    {
        if (options.Index != LandmarkIndex.Exact && !CpuRetrieval.Serves(options, type, device))
            throw new LandmarkException(
                $"An index of landmarks is for float32 models on the CPU, and this one is {type} on {device.type}; leave it out.");
        if (options.Index is LandmarkIndex.FaissFlat or LandmarkIndex.FaissIvf or LandmarkIndex.FaissHnsw) FaissLibrary.Require();
    }

    /// <summary>Scores found blocks by their landmarks as they are.</summary>
    /// <param name="landmarks">[n, d]: a head's keys.</param>
    /// <param name="width">Width of a head, d.</param>
    /// <param name="forms">[share, d]: what chooses.</param>
    /// <param name="share">Heads that choose together.</param>
    /// <param name="blocks">Which; −1 where there is none.</param>
    /// <param name="scores">[share, step], which are written; −∞ where there is none.</param>
    /// <param name="step">From one head's scores to the next one's.</param>
    public static void Score(float* landmarks, int width, float* forms, int share, ReadOnlySpan<int> blocks, float* scores, int step)
    {
        for (var i = 0; i < blocks.Length; i++)
        {
            if (blocks[i] >= 0) CpuRows.Float32.Dots(forms, share, (byte*)(landmarks + ((long)blocks[i] * width)), 1, width, scores + i, step, null);
            else for (var h = 0; h < share; h++) scores[((nint)h * step) + i] = float.NegativeInfinity;
        }
    }
}
