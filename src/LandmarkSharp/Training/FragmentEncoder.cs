using System.Collections.Concurrent;

namespace LandmarkSharp.Training;

/// <summary>
/// Encodes text word by word with a cache, to the same tokens as encoding it whole. A fragment begins with the first
/// white space after a word, where that is a space (or a newline, where the tokenizer lets it), and goes on to where the
/// next begins. Tokenizers split there, but may join any white space that stands together. So the tokens of a text are
/// those of its fragments one after the other, and nearly every fragment has been seen before. Safe to use from several
/// threads if the tokenizer is.
/// </summary>
public sealed class FragmentEncoder
{
    /// <summary>Beyond this many fragments new ones are encoded each time they occur: about 50 MB.</summary>
    private const int Capacity = 1 << 19;

    private const string Anchor = "x";

    private readonly Func<string, int[]> encode;
    private readonly int anchorLength;
    private readonly bool splitsAtNewline;
    private readonly ConcurrentDictionary<string, int[]> cache = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private int cached;

    /// <summary>Wraps a tokenizer's encoding of a whole text, without special tokens around it.</summary>
    /// <exception cref="LandmarkException">The tokenizer makes tokens that reach across spaces.</exception>
    public FragmentEncoder(Func<string, int[]> encode)
    {
        this.encode = encode;
        lookup = cache.GetAlternateLookup<ReadOnlySpan<char>>();
        anchorLength = encode(Anchor).Length;
        const string probe = "There is one.\nThe key (of 3) is 12345.\n\nRemember it:  \"12345\" is\n the key.";
        foreach (var newline in (ReadOnlySpan<bool>)[true, false])
        {
            splitsAtNewline = newline;
            cache.Clear();
            var tokens = new List<int>();
            Append(probe, tokens, atStart: true);
            if (tokens.SequenceEqual(encode(probe))) return;
        }
        throw new LandmarkException(
            "The tokenizer makes tokens that reach across spaces, but training text is encoded word by word; use a "
            + "tokenizer that splits at spaces.");
    }

    /// <summary>The tokens of a whole text, as the tokenizer gives them.</summary>
    public int[] Encode(string text) => encode(text);

    /// <summary>
    /// Appends the tokens of <paramref name="text"/>. With <paramref name="atStart"/> it is the beginning of a text;
    /// otherwise it goes on from an earlier piece and must begin with a space or a newline.
    /// </summary>
    public void Append(ReadOnlySpan<char> text, List<int> tokens, bool atStart = false)
    {
        while (!text.IsEmpty)
        {
            var length = FragmentLength(text);
            tokens.AddRange(Fragment(text[..length], atStart));
            text = text[length..];
            atStart = false;
        }
    }

    /// <summary>The tokens that <see cref="Append"/> would add for a text that goes on from an earlier piece.</summary>
    public int[] Continue(string text)
    {
        var tokens = new List<int>();
        Append(text, tokens);
        return [.. tokens];
    }

    /// <summary>The number of characters of the first fragment of <paramref name="text"/>.</summary>
    internal int FragmentLength(ReadOnlySpan<char> text)
    {
        var i = 1;
        while (i < text.Length && !Splits(text[i - 1], text[i])) i++;
        return i;
    }

    /// <summary>Whether a text may be cut between two characters.</summary>
    internal bool Splits(char before, char after) => IsBoundary(after) && !char.IsWhiteSpace(before);

    /// <summary>The tokens of one fragment.</summary>
    internal int[] Fragment(ReadOnlySpan<char> fragment, bool atStart)
    {
        // At the start of a text the tokenizer may add a space of its own: that form is not the cached one.
        if (atStart || !IsBoundary(fragment[0])) return encode(fragment.ToString());
        if (lookup.TryGetValue(fragment, out var tokens)) return tokens;
        var text = fragment.ToString();
        tokens = encode(Anchor + text)[anchorLength..];
        if (cached < Capacity && cache.TryAdd(text, tokens)) Interlocked.Increment(ref cached);
        return tokens;
    }

    private bool IsBoundary(char character) => character == ' ' || (splitsAtNewline && character == '\n');
}
