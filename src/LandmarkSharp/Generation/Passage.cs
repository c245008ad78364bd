using System.Text;
using System.Text.Json.Serialization;
using LandmarkSharp.Text;

namespace LandmarkSharp.Generation;

/// <summary>A block's text, and where it stands.</summary>
/// <param name="Block">The block's number, from 0.</param>
/// <param name="FirstToken">Its first regular token's number.</param>
/// <param name="Tokens">Its regular tokens: ℓ, or fewer in a block that is not complete.</param>
/// <param name="Text">What they spell. A character whose bytes lie in two blocks belongs to the second.</param>
/// <param name="FirstCharacter">UTF-16 units before it; null where that is not known.</param>
/// <param name="FirstByte">Bytes of UTF-8 before it; null where that is not known.</param>
/// <param name="Document">The document of a memory in which it stands; null for a session's own text.</param>
public sealed record Passage(
    long Block, long FirstToken, int Tokens, string Text, long? FirstCharacter = null, long? FirstByte = null, string? Document = null)
{
    /// <summary>The memory file that the document lies in, as it was opened; null for a session's own text.</summary>
    [JsonPropertyName("memory")]
    public string? File { get; init; }

    /// <summary>The text's bytes in UTF-8.</summary>
    public int Bytes => Encoding.UTF8.GetByteCount(Text);

    /// <summary>Passages of a text, placed in what its tokens spell.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="tokens">The text's regular tokens.</param>
    /// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
    /// <param name="blocks">The blocks, in any order.</param>
    /// <param name="atStart">Whether nothing comes before the tokens.</param>
    /// <returns>In the order of the text, each once.</returns>
    /// <exception cref="LandmarkException">The text has no such block.</exception>
    internal static IReadOnlyList<Passage> Of(
        Tokenizer tokenizer, IReadOnlyList<int> tokens, int blockTokens, IEnumerable<long> blocks, bool atStart = true)
    {
        var decoder = tokenizer.CreateDecoder(atStart);
        List<Passage> found = [];
        var (at, characters, bytes) = (0, 0L, 0L);
        foreach (var block in blocks.Distinct().Order())
        {
            if (block < 0 || block * blockTokens >= tokens.Count)
                throw new LandmarkException(
                    $"There is no block {block} in a text of {tokens.Count:N0} tokens; with {blockTokens} tokens a block they are numbered "
                    + $"from 0 to {((tokens.Count + blockTokens - 1) / blockTokens) - 1:N0}.");
            while (at < block * blockTokens)
            {
                var skipped = decoder.Push(tokens[at++]);
                (characters, bytes) = (characters + skipped.Length, bytes + Encoding.UTF8.GetByteCount(skipped));
            }
            var (first, text) = (at, new StringBuilder());
            while (at < Math.Min((block + 1) * blockTokens, tokens.Count)) text.Append(decoder.Push(tokens[at++]));
            if (at == tokens.Count) text.Append(decoder.Flush());
            var passage = new Passage(block, first, at - first, text.ToString(), characters, bytes);
            found.Add(passage);
            (characters, bytes) = (characters + passage.Text.Length, bytes + passage.Bytes);
        }
        return found;
    }
}
