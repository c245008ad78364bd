namespace LandmarkSharp.Memory.Files;

/// <summary>Bytes of a memory file by what they hold.</summary>
/// <param name="Blocks">Keys and values with their scales, in whole pages.</param>
/// <param name="Landmarks">Landmark keys.</param>
/// <param name="Tokens">Tokens, and where each begins in the text.</param>
/// <param name="Text">Text.</param>
/// <param name="Hashes">Hashes.</param>
public sealed record MemoryBytes(long Blocks, long Landmarks, long Tokens, long Text, long Hashes)
{
    /// <summary>Both together.</summary>
    internal static MemoryBytes Sum(MemoryBytes one, MemoryBytes other) => new(
        one.Blocks + other.Blocks, one.Landmarks + other.Landmarks, one.Tokens + other.Tokens, one.Text + other.Text, one.Hashes + other.Hashes);
}
