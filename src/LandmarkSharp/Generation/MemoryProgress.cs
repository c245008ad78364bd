namespace LandmarkSharp.Generation;

/// <summary>How far a document is on its way into a memory file.</summary>
/// <param name="Document">Its name.</param>
/// <param name="Tokens">Its regular tokens that have been read, those of earlier runs counted.</param>
/// <param name="NewTokens">Those that were read now.</param>
public sealed record MemoryProgress(string Document, long Tokens, long NewTokens)
{
    /// <summary>What was made; null before the last step.</summary>
    public MemoryDocument? Made { get; init; }
}

/// <summary>A document that is in a memory file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Tokens">Regular tokens.</param>
/// <param name="Blocks">Blocks, the last one filled up.</param>
/// <param name="Bytes">Bytes of text.</param>
/// <param name="NewTokens">Tokens that were read now: the others were there already.</param>
/// <param name="IsVerbatim">
/// Whether the text that is kept is the text that was given. Where a tokenizer rewrites (composes characters, drops spaces) or has no
/// token for something, what the tokens spell is kept.
/// </param>
public sealed record MemoryDocument(string Name, long Tokens, long Blocks, long Bytes, long NewTokens, bool IsVerbatim);
