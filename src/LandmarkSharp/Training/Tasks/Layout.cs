namespace LandmarkSharp.Training.Tasks;

/// <summary>A piece of text and where it stands in the filler around it: 0 before all of it, 1 after.</summary>
internal readonly record struct Placed(double Place, Piece Piece);

/// <summary>Puts pieces of text into filler, to a row of an exact length.</summary>
internal sealed class Layout(Filler filler)
{
    /// <summary>What filler begins with: a space, or a newline where pieces have lines of their own.</summary>
    public char Lead { get; init; } = ' ';

    /// <summary>Whether the row begins inside a text, so that its first sentence may be cut off.</summary>
    public bool StartsInside { get; init; }

    /// <summary>Whether filler before a piece stops anywhere, and not only at the end of a sentence.</summary>
    public bool CutsSentences { get; init; }

    /// <summary>What follows the last piece instead of the same filler: a document, after this token.</summary>
    public (int EndOfText, Filler Text)? Next { get; init; }

    /// <summary>
    /// Lays out <paramref name="length"/> tokens. Pieces of the same place stand in the order given, with nothing in
    /// between. The ranges are where the pieces came to stand.
    /// </summary>
    public (Piece Row, Range[] Ranges) Compose(IReadOnlyList<Placed> pieces, int length)
    {
        var order = Enumerable.Range(0, pieces.Count).OrderBy(i => pieces[i].Place).ToArray();
        var free = length - pieces.Sum(p => p.Piece.Length);
        var row = new Piece();
        var ranges = new Range[pieces.Count];
        var filled = 0;
        for (var i = 0; i < order.Length; i++)
        {
            var (place, piece) = pieces[order[i]];
            // What a sentence that does not fit leaves over goes to the next stretch: the last one is exact.
            filled += Fill(row, (int)(Math.Clamp(place, 0, 1) * free) - filled, exact: place >= 1);
            var start = row.Length;
            row.Append(piece);
            ranges[order[i]] = start..row.Length;
        }
        if (Next is { } next && filled < free)
        {
            row.Tokens.Add(next.EndOfText);
            next.Text.Fill(row.Tokens, free - filled - 1, Cut.End, ' ');
            row.Mark(TokenKind.Text);
        }
        else
        {
            Fill(row, free - filled, exact: true);
        }
        return (row, ranges);
    }

    private int Fill(Piece row, int count, bool exact)
    {
        var start = row.Length;
        if (count > 0)
        {
            var inside = StartsInside && start == 0;
            var cut = inside ? Cut.Start : exact || CutsSentences ? Cut.End : Cut.Between;
            filler.Fill(row.Tokens, count, cut, inside ? ' ' : Lead);
        }
        row.Mark(TokenKind.Text);
        return row.Length - start;
    }
}
