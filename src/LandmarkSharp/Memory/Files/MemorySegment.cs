namespace LandmarkSharp.Memory.Files;

/// <summary>
/// Consecutive blocks of a text as they lie in a memory file, never changed. One without blocks is a tail: tokens of a block that is
/// not complete, which have no keys and values yet.
/// </summary>
/// <param name="Offset">Where it begins, in bytes; until the file is compacted no other has it.</param>
/// <param name="Blocks">Blocks, each with its landmark.</param>
/// <param name="Tokens">Regular tokens: ℓ for each block, fewer where the last one was filled up with repeats of its last token, or those of the tail.</param>
/// <param name="Bytes">Bytes of text.</param>
/// <param name="Check">The hash of its hashes.</param>
public sealed record MemorySegment(long Offset, int Blocks, int Tokens, int Bytes, ulong Check)
{
    /// <summary>Whether its last block was filled up with repeats of its last token.</summary>
    /// <param name="model">The file's.</param>
    public bool IsFilled(MemoryModel model) => Tokens < (long)Blocks * model.BlockTokens;
}
