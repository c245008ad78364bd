using System.Text.RegularExpressions;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>
/// A small tokenizer that behaves as SentencePiece does: a word carries the space before it, digits and punctuation
/// stand alone, a text gets a space in front. Ids are given in the order of first sight.
/// </summary>
internal sealed partial class WordTokenizer
{
    public const int EndOfText = 2;

    private readonly Lock gate = new();
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly List<string> pieces = [];

    public WordTokenizer()
    {
        foreach (var piece in (ReadOnlySpan<string>)["<unk>", "<s>", "</s>"]) Id(piece);
        Encoder = new FragmentEncoder(Encode);
    }

    public FragmentEncoder Encoder { get; }

    public int VocabularySize => 60_000;

    public int[] Encode(string text) => [.. Piece().Matches(" " + text).Select(m => Id(m.Value))];

    public string Decode(ReadOnlySpan<int> tokens)
    {
        lock (gate) return string.Concat(tokens.ToArray().Select(t => pieces[t]));
    }

    private int Id(string piece)
    {
        lock (gate)
        {
            if (ids.TryGetValue(piece, out var id)) return id;
            pieces.Add(piece);
            ids.Add(piece, pieces.Count - 1);
            return pieces.Count - 1;
        }
    }

    [GeneratedRegex(@" ?\p{L}+| (?=\d)|\d|\n| ?[^\s\p{L}\d]|\s")]
    private static partial Regex Piece();
}
