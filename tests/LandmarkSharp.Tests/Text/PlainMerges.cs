namespace LandmarkSharp.Tests.Text;

/// <summary>Byte-pair merging as its definition has it: over and over the best pair, the leftmost of equals.</summary>
internal static class PlainMerges
{
    /// <summary>Merges symbols.</summary>
    /// <param name="symbols">The text in its smallest symbols.</param>
    /// <param name="rank">The rank of a pair, lower first; null when the two do not merge.</param>
    public static List<string> Merge(IEnumerable<string> symbols, Func<string, string, double?> rank)
    {
        var parts = symbols.ToList();
        while (true)
        {
            var best = Enumerable.Range(0, Math.Max(0, parts.Count - 1))
                .Select(i => (At: i, Rank: rank(parts[i], parts[i + 1]))).Where(p => p.Rank is not null)
                .OrderBy(p => p.Rank).ThenBy(p => p.At).Select(p => (int?)p.At).FirstOrDefault();
            if (best is not { } at) return parts;
            parts[at] += parts[at + 1];
            parts.RemoveAt(at + 1);
        }
    }

    /// <summary>Pieces made of an alphabet by putting pieces together at random, in the order made.</summary>
    public static List<(string Left, string Right)> Random(Random random, string alphabet, int count)
    {
        List<string> pieces = [.. alphabet.Select(c => c.ToString())];
        List<(string Left, string Right)> merges = [];
        for (var i = 0; i < count; i++)
        {
            var (left, right) = (pieces[random.Next(pieces.Count)], pieces[random.Next(pieces.Count)]);
            if (left.Length + right.Length > 6 || pieces.Contains(left + right)) continue;
            pieces.Add(left + right);
            merges.Add((left, right));
        }
        return merges;
    }
}
