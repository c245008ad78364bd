using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>Keeps what each layer and query head reads for a token, as it is told of.</summary>
/// <param name="layers">Layers of the model.</param>
/// <param name="heads">Query heads of a layer.</param>
internal sealed class ReadRecorder(int layers, int heads)
{
    private readonly SortedDictionary<long, double>[,] gates = new SortedDictionary<long, double>[layers, heads];
    private int queries;
    private long window;

    /// <summary>Begins with a token.</summary>
    /// <param name="windowBlock">The window's first block.</param>
    public void Begin(long windowBlock)
    {
        (queries, window) = (0, windowBlock);
        for (var layer = 0; layer < layers; layer++)
            for (var head = 0; head < heads; head++)
                gates[layer, head] = [];
    }

    /// <summary>Adds what a layer read for one of the token's queries, or for both.</summary>
    public void Add(int layer, Retrieved read)
    {
        if (layer == 0) queries += (int)read.Output.shape[1];
        if (read.Chosen is null) return;
        using var scope = NewDisposeScope();
        var (chosen, shares) = (read.Chosen.contiguous().cpu().data<long>(), read.Gates!.to(ScalarType.Float32).contiguous().cpu().data<float>());
        var each = chosen.Count / heads;                    // [H, T, k']: all of a head's lie together
        var i = 0;
        foreach (var (block, share) in chosen.Zip(shares))
        {
            var head = gates[layer, (int)(i++ / each)];
            if (block >= 0) head[block] = head.GetValueOrDefault(block) + share;
        }
    }

    /// <summary>What was read since the beginning.</summary>
    public TokenReads Take() => new(
        queries, window,
        [.. Enumerable.Range(0, layers).Select(layer => (IReadOnlyList<HeadReads>)[.. Enumerable.Range(0, heads).Select(head => Of(gates[layer, head]))])]);

    private HeadReads Of(SortedDictionary<long, double> read) => new([.. read.Keys], [.. read.Values.Select(v => (float)(v / queries))]);
}
