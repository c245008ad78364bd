namespace LandmarkSharp.Attention;

/// <summary>
/// The parts of a layer's hierarchical index that are of blocks which many texts begin with: each is made once, by the first that needs it.
/// For any number of threads.
/// </summary>
/// <param name="groups">Key-value heads, G.</param>
/// <param name="blocks">How many blocks they have in common, from the first one on.</param>
internal sealed class SharedNodes(int groups, long blocks)
{
    private readonly Dictionary<(int First, int Count), KeyNodes>[] made =
        [.. Enumerable.Range(0, groups).Select(_ => new Dictionary<(int, int), KeyNodes>())];

    /// <summary>Bytes of those that were made.</summary>
    public long Bytes => made.Sum(group =>
    {
        lock (group) return group.Values.Sum(n => n.Bytes);
    });

    /// <summary>Whether a part is of these blocks alone.</summary>
    public bool Has(long first, long count) => first + count <= blocks;

    /// <summary>Gives a part, and makes it if nobody has; others who need one of the same head wait.</summary>
    /// <param name="group">The key-value head.</param>
    /// <param name="first">Its first block.</param>
    /// <param name="count">Its blocks.</param>
    /// <param name="make">Makes it from the keys, which are the same for all.</param>
    public KeyNodes Of(int group, int first, int count, Func<KeyNodes> make)
    {
        var mine = made[group];
        lock (mine)
        {
            if (!mine.TryGetValue((first, count), out var nodes)) mine.Add((first, count), nodes = make());
            return nodes;
        }
    }
}
