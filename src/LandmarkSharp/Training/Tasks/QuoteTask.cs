namespace LandmarkSharp.Training.Tasks;

/// <summary>Rows of running text in which passages from further up are begun again, and must be continued.</summary>
internal sealed class QuoteTask(FragmentEncoder encoder, FillerShop shop)
{
    private static readonly Template[] Leads =
    [
        "\n[As it was said|As was said|As it is written|As it stands] [above|before|earlier]:",
        "\n[The passage|The text|It] [said|says|reads]:",
        "\n[To quote|Quoting|Let us repeat] from above:",
        "\n[Recall|Remember] the words:",
        "\n[Again|Once again|Repeat|Copy]:",
        "\n>",
        " [...]",
        "\n",
    ];

    public TaskRow Row(CounterRandom random, int length)
    {
        var filler = shop.Make(random.Chance(0.8) ? FillerKind.Books : FillerKind.Sentences, random, []);
        var row = new Piece();
        var quotes = random.Between(1, 5);
        var stretch = length / (quotes + 1);
        var lead = random.Pick(Leads);
        // Quotes are taken from the running text alone, so that each has one source.
        var sources = new List<(int Start, int End)>();
        for (var quote = 0; quote < quotes; quote++)
        {
            var start = row.Length;
            var size = Math.Min(random.Between(stretch / 2, stretch), length - start);
            filler.Fill(row.Tokens, size, Cut.End, ' ');
            row.Mark(TokenKind.Text);
            sources.Add((start, row.Length));

            var (cue, answer) = (random.Between(4, 14), random.Between(5, 20));
            var (from, to) = random.Pick(sources);
            var opening = Piece.Encode(encoder, lead.Expand(random, Lexicon.Training, default));
            if (to - from < cue + answer || row.Length + opening.Length + cue + answer > length) continue;
            var at = from + random.Next(to - from - cue - answer + 1);
            row.Append(opening);
            row.Tokens.AddRange(row.Tokens.GetRange(at, cue));
            row.Mark(TokenKind.Text);
            row.Tokens.AddRange(row.Tokens.GetRange(at + cue, answer));
            row.Mark(TokenKind.Answer);
        }
        filler.Fill(row.Tokens, length - row.Length, Cut.End, '\n');
        row.Mark(TokenKind.Text);
        return new TaskRow(TaskFamily.Quote, [.. row.Tokens], [.. row.Kinds]);
    }
}
