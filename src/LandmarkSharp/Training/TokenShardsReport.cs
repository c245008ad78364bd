namespace LandmarkSharp.Training;

/// <summary>What became of the texts that were to be token shards.</summary>
/// <param name="Sources">Each source, in the order in which they were given.</param>
/// <param name="Skipped">The first of the files and rows that gave no document, <see cref="MostNamed"/> at most.</param>
public sealed record TokenShardsReport(IReadOnlyList<TokenShardsReport.Source> Sources, IReadOnlyList<SkippedText> Skipped)
{
    /// <summary>Of what is skipped so many are named; the others are counted.</summary>
    public const int MostNamed = 100;

    /// <summary>What became of a source.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Files">Its files.</param>
    /// <param name="Documents">The documents in them.</param>
    /// <param name="Tokens">Their tokens, the end-of-text tokens counted.</param>
    /// <param name="Skipped">Files and rows that gave no document.</param>
    public sealed record Source(string Name, int Files, long Documents, long Tokens, long Skipped);
}

/// <summary>How far the making of token shards is.</summary>
/// <param name="FilesRead">Files read to their end.</param>
/// <param name="Files">All files.</param>
/// <param name="BytesRead">Bytes read.</param>
/// <param name="Bytes">The bytes of all files.</param>
/// <param name="Documents">Documents written.</param>
/// <param name="Tokens">Tokens written.</param>
public sealed record TokenShardsProgress(int FilesRead, int Files, long BytesRead, long Bytes, long Documents, long Tokens);
