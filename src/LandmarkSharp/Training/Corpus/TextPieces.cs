namespace LandmarkSharp.Training.Corpus;

/// <summary>A piece of a document, small enough to be one of many in memory.</summary>
internal readonly record struct TextPiece(string Text, bool StartsDocument, bool EndsDocument);

/// <summary>Cuts documents of any length where both sides encode as the whole would.</summary>
/// <param name="isBoundary">Whether a text may be cut before a character if none such stands before it.</param>
internal sealed class TextPieces(Func<char, bool> isBoundary)
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
            // Text without any boundary is cut anywhere but between the halves of a character.
            var cut = held - 1;
            while (cut > 1 && !(isBoundary(buffer[cut]) && !isBoundary(buffer[cut - 1]))) cut--;
            if (cut <= 1) cut = char.IsHighSurrogate(buffer[held - 1]) ? held - 1 : held;
            yield return new TextPiece(new string(buffer, 0, cut), isFirst, EndsDocument: false);
            buffer.AsSpan(cut, held - cut).CopyTo(buffer);
            (held, isFirst) = (held - cut, false);
        }
    }
}
