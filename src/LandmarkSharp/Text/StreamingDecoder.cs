using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Turns tokens into text one at a time. What <see cref="Push"/> returns is final: a character whose bytes are
/// spread over several tokens comes out with the last of them. The texts of all pushes and of the last
/// <see cref="Flush"/>, joined, are what <see cref="Tokenizer.Decode"/> gives for all tokens at once.
/// </summary>
public sealed class StreamingDecoder
{
    private readonly Vocabulary vocabulary;
    private readonly LeadingSpace leadingSpace;
    private readonly bool continues;
    private readonly Decoder utf8 = Encoding.UTF8.GetDecoder();
    private bool started;

    internal StreamingDecoder(Vocabulary vocabulary, LeadingSpace leadingSpace, bool continues)
    {
        this.vocabulary = vocabulary;
        this.leadingSpace = leadingSpace;
        this.continues = continues;
        started = continues;
    }

    /// <summary>Takes one token and returns the text that is certain by now; empty when there is none yet.</summary>
    /// <param name="id">
    /// A token id. Marks such as the start of text give no text, nor does an id the tokenizer has no piece for
    /// (a landmark, a padded row of a model's vocabulary).
    /// </param>
    public string Push(int id)
    {
        if (vocabulary[id] is not { } entry || entry.Bytes.Length == 0) return "";
        ReadOnlySpan<byte> bytes = entry.Bytes;
        if (!started && leadingSpace != LeadingSpace.Kept)
        {
            // The tokenizer put a space before the text: it is taken away again.
            var strip = bytes[0] == (byte)' ' && entry.Kind != PieceKind.Byte;
            if (strip) bytes = bytes[1..];
            started = bytes.Length > 0 || leadingSpace == LeadingSpace.OneRemoved;
        }
        return Text(bytes, flush: false);
    }

    /// <summary>
    /// Ends the text: bytes that never became a character come out as U+FFFD. The decoder is then as new.
    /// </summary>
    public string Flush()
    {
        started = continues;
        return Text([], flush: true);
    }

    private string Text(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> chars = stackalloc char[64];
        if (bytes.Length > chars.Length - 4) chars = new char[bytes.Length + 4];
        return new string(chars[..utf8.GetChars(bytes, chars, flush)]);
    }
}
