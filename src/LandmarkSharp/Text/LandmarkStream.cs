namespace LandmarkSharp.Text;

/// <summary>
/// Puts a landmark after every ℓ regular tokens of a stream (paper section 3; the phase is that of the whole stream,
/// not of a document or a call). The phase is carried along, so a text may arrive in pieces of any size: how it was
/// cut changes nothing. A landmark comes with the token that completes its block, so the stream never ends one short.
/// </summary>
public sealed class LandmarkStream
{
    private readonly int blockTokens;
    private readonly int landmarkId;

    /// <summary>Starts or continues a stream.</summary>
    /// <param name="blockTokens">ℓ, the regular tokens in a block; at least 1.</param>
    /// <param name="landmarkId">The landmark's token id.</param>
    /// <param name="position">How many regular tokens (landmarks not counted) have gone before.</param>
    /// <exception cref="LandmarkException">A value is out of range.</exception>
    public LandmarkStream(int blockTokens, int landmarkId, long position = 0)
    {
        CheckBlock(blockTokens);
        if (landmarkId < 0) throw new LandmarkException($"The landmark's token id is {landmarkId}; it must be 0 or more.");
        if (position < 0) throw new LandmarkException($"A stream cannot start at token {position}; its position must be 0 or more.");
        this.blockTokens = blockTokens;
        this.landmarkId = landmarkId;
        Position = position;
    }

    /// <summary>Regular tokens so far, landmarks not counted.</summary>
    public long Position { get; private set; }

    /// <summary>Regular tokens in the block that is still open: 0 … ℓ−1.</summary>
    public int Phase => (int)(Position % blockTokens);

    /// <summary>Appends tokens to <paramref name="output"/>, with a landmark wherever a block becomes complete.</summary>
    /// <param name="tokens">Regular tokens.</param>
    /// <param name="output">Where tokens and landmarks are appended.</param>
    /// <exception cref="LandmarkException">The landmark itself is among the tokens.</exception>
    public void Push(ReadOnlySpan<int> tokens, List<int> output)
    {
        if (tokens.Contains(landmarkId))
            throw new LandmarkException(
                $"The landmark, token {landmarkId}, is among the tokens of the text; "
                + "give a landmark id that the tokenizer does not use.");
        while (tokens.Length > 0)
        {
            var count = Math.Min(tokens.Length, blockTokens - Phase);
            output.AddRange(tokens[..count]);
            tokens = tokens[count..];
            Position += count;
            if (Phase == 0) output.Add(landmarkId);
        }
    }

    /// <summary>How many positions so many regular tokens take with their landmarks, from the start of a block.</summary>
    /// <exception cref="LandmarkException">A block has no token.</exception>
    public static long CountWithLandmarks(long tokens, int blockTokens)
    {
        CheckBlock(blockTokens);
        return tokens + (tokens / blockTokens);
    }

    /// <summary>A whole token sequence with its landmarks, from the start of a block.</summary>
    /// <exception cref="LandmarkException">A block has no token, or the landmark is among the tokens.</exception>
    public static int[] Insert(ReadOnlySpan<int> tokens, int blockTokens, int landmarkId)
    {
        var output = new List<int>((int)CountWithLandmarks(tokens.Length, blockTokens));
        new LandmarkStream(blockTokens, landmarkId).Push(tokens, output);
        return [.. output];
    }

    private static void CheckBlock(int blockTokens)
    {
        if (blockTokens < 1)
            throw new LandmarkException($"A block of {blockTokens} tokens cannot be; give 1 or more.");
    }
}
