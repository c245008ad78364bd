using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>Keeps what each layer and query head reads for a token, as it is told of.</summary>
/// <param name="layers">Layers of the model.</param>
/// <param name="heads">Query heads of a layer.</param>
/// <param name="tokens">Whether it keeps besides how that is divided among the blocks' tokens.</param>
internal sealed class ReadRecorder(int layers, int heads, bool tokens = false)
{
    private readonly Dictionary<long, double[]> inside = [];                                // ℓ sums over layers, heads and queries for each block
    private readonly SortedDictionary<long, double>[,] gates = new SortedDictionary<long, double>[layers, heads];
    private int queries;
    private long window;

    /// <summary>Whether it keeps how shares are divided among tokens.</summary>
    public bool RecordsTokens => tokens;

    /// <summary>Begins with a token.</summary>
    /// <param name="windowBlock">The window's first block.</param>
    public void Begin(long windowBlock)
    {
        (queries, window) = (0, windowBlock);
        inside.Clear();
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
        if (read.TokenShares is not null) Add(read.TokenShares, read.Chosen);
    }

    /// <summary>What was read since the beginning.</summary>
    public TokenReads Take() => new(
        queries, window,
        [.. Enumerable.Range(0, layers).Select(layer => (IReadOnlyList<HeadReads>)[.. Enumerable.Range(0, heads).Select(head => Of(gates[layer, head]))])])
    {
        TokenShares = tokens ? inside.ToDictionary(b => b.Key, b => Array.ConvertAll(b.Value, v => (float)(v / ((double)layers * heads * queries)))) : null,
    };

    private void Add(Tensor shares, Tensor chosen)
    {
        var (all, blocks) = (shares.to(ScalarType.Float32).contiguous().cpu().data<float>().ToArray(), chosen.contiguous().cpu().data<long>().ToArray());
        var length = (int)shares.shape[3];                                                  // [H, T, k', ℓ]: those of a block lie together
        for (var i = 0; i < blocks.Length; i++)
        {
            if (blocks[i] < 0) continue;
            if (!inside.TryGetValue(blocks[i], out var sums)) inside[blocks[i]] = sums = new double[length];
            for (var j = 0; j < length; j++) sums[j] += all[(i * length) + j];
        }
    }

    private HeadReads Of(SortedDictionary<long, double> read) => new([.. read.Keys], [.. read.Values.Select(v => (float)(v / queries))]);
}
