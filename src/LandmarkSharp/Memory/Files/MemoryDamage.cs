namespace LandmarkSharp.Memory.Files;

/// <summary>Something in a memory file that is not as it was written.</summary>
/// <param name="Owner">The document or session that it belongs to; null for a part of the file's own.</param>
/// <param name="Part">What it is.</param>
public sealed record MemoryDamage(string? Owner, string Part)
{
    private const int LongestName = 100;

    /// <inheritdoc/>
    public override string ToString() => Owner is null ? Part : $"{Part} of {Quote(Owner)}";

    /// <summary>A name as the part of a sentence, on one line.</summary>
    internal static string Quote(string name)
    {
        var shown = name.Length <= LongestName ? name : name[..LongestName] + "…";
        return "'" + string.Concat(shown.Select(c => char.IsControl(c) ? '·' : c)) + "'";
    }
}
