using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// The text of a segment. A token's bytes go from its start to the next token's, the last one's to the text's end; a token that stands
/// for no text has none.
/// </summary>
/// <param name="Tokens">Regular tokens; landmarks are not among them.</param>
/// <param name="Starts">At which byte of the text each begins: rising from 0.</param>
/// <param name="Text">The text as it was given, UTF-8; a cut between tokens may be one inside a character.</param>
public sealed record SegmentText(int[] Tokens, int[] Starts, byte[] Text)
{
    /// <summary>Which bytes of the text a block's tokens stand for.</summary>
    /// <param name="block">The block, within the segment.</param>
    /// <param name="blockTokens">ℓ.</param>
    public Range BlockBytes(int block, int blockTokens) => Start(block * blockTokens)..Start((block + 1) * blockTokens);

    /// <summary>The hash of tokens and starts: of the starts, begun with that of the tokens.</summary>
    internal ulong HashOfTokens =>
        XxHash3.HashToUInt64(MemoryMarshal.AsBytes<int>(Starts), (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes<int>(Tokens)));

    /// <summary>Throws where tokens and text do not belong together.</summary>
    /// <exception cref="LandmarkException">They do not.</exception>
    internal void Check()
    {
        if (Tokens.Length == 0) throw new LandmarkException("A segment needs a token; add one when there is text.");
        if (Tokens.Length != Starts.Length)
            throw new LandmarkException($"There are {Tokens.Length} tokens and starts for {Starts.Length}; give each token's.");
        if (Starts[0] != 0) throw new LandmarkException($"The first token starts at byte {Starts[0]}; its text must begin with it, at 0.");
        for (var i = 0; i < Starts.Length; i++)
            if (Starts[i] > Start(i + 1))
                throw new LandmarkException($"Token {i} starts at byte {Starts[i]} and ends at {Start(i + 1)}; starts must rise up to the length of the text.");
    }

    /// <summary>At which byte of the text a token begins; the text's end for one after the last.</summary>
    internal int Start(int token) => token < Starts.Length ? Starts[token] : Text.Length;
}
