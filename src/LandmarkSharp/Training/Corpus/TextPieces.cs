namespace LandmarkSharp.Training.Corpus;

/// <summary>A piece of a document, small enough to be one of many in memory.</summary>
internal readonly record struct TextPiece(string Text, bool StartsDocument, bool EndsDocument);

/// <summary>Cuts documents of any length where both sides encode as the whole would.</summary>
/// <param name="splits">Whether a text may be cut between two characters.</param>
internal sealed class TextPieces(Func<char, char, bool> splits)
{
    /// <summary>Characters of a piece, about.</summary>
    public const int Length = 1 << 18;

    private readonly char[] buffer = new char[2 * Length];

    /// <summary>The pieces of a document, one at a time: the last is the first that ends it.</summary>
    public IEnumerable<TextPiece> Cut(TextReader reader)
    {
        var (held, isFirst) = (0, true);
        while (true)
        {
            held += reader.ReadBlock(buffer.AsSpan(held));
            if (held < buffer.Length)
            {
                yield return new TextPiece(new string(buffer, 0, held), isFirst, EndsDocument: true);
                yield break;
            }
            // Text without such a place is cut anywhere but between the halves of a character.
            var cut = held - 1;
            while (cut > 1 && !splits(buffer[cut - 1], buffer[cut])) cut--;
            if (cut <= 1) cut = char.IsHighSurrogate(buffer[held - 1]) ? held - 1 : held;
            yield return new TextPiece(new string(buffer, 0, cut), isFirst, EndsDocument: false);
            buffer.AsSpan(cut, held - cut).CopyTo(buffer);
            (held, isFirst) = (held - cut, false);
        }
    }
}
