using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Memory;

/// <summary>How a memory's documents differ from those that a session had read when it was saved.</summary>
/// <param name="Added">Names of those that it had not read.</param>
/// <param name="Removed">Names of those that are there no more.</param>
/// <param name="Replaced">Names of those of which there is another version.</param>
/// <param name="IsReordered">Whether those that stayed follow each other otherwise.</param>
public sealed record DocumentChanges(
    IReadOnlyList<string> Added, IReadOnlyList<string> Removed, IReadOnlyList<string> Replaced, bool IsReordered)
{
    /// <summary>Whether all is as it was.</summary>
    public bool IsNone => Added.Count + Removed.Count + Replaced.Count == 0 && !IsReordered;

    /// <summary>Compares documents in their orders; those of several files may have a name in common.</summary>
    internal static DocumentChanges Between(IReadOnlyList<DocumentVersion> before, IReadOnlyList<DocumentVersion> now)
    {
        var (gone, come) = (Without(before, now), Without(now, before));
        var (old, fresh) = (gone.Select(d => d.Name).ToHashSet(), come.Select(d => d.Name).ToHashSet());
        return new DocumentChanges(
            [.. fresh.Except(old)], [.. old.Except(fresh)], [.. old.Intersect(fresh)],
            !Without(before, gone).SequenceEqual(Without(now, come)));
    }

    /// <summary>What has changed, as the part of a sentence.</summary>
    public override string ToString()
    {
        List<string> parts = [];
        foreach (var (names, what) in (ReadOnlySpan<(IReadOnlyList<string>, string)>)[(Added, "added"), (Removed, "removed"), (Replaced, "replaced")])
            if (names.Count > 0) parts.Add($"{string.Join(", ", names.Select(MemoryDamage.Quote))} {(names.Count == 1 ? "was" : "were")} {what}");
        if (IsReordered) parts.Add("documents follow each other otherwise");
        return parts.Count == 0 ? "nothing has changed" : string.Join(", and ", parts);
    }

    /// <summary>What is left of some when others are taken out, each once for each time that it is there.</summary>
    private static List<DocumentVersion> Without(IEnumerable<DocumentVersion> from, IEnumerable<DocumentVersion> others)
    {
        var left = others.GroupBy(d => d).ToDictionary(g => g.Key, g => g.Count());
        return [.. from.Where(d => left.GetValueOrDefault(d) == 0 || left[d]-- == 0)];
    }
}
