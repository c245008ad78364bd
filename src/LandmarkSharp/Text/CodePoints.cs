using System.Globalization;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// A text as a sequence of whole characters, for patterns. .NET matches UTF-16 units, to which a letter outside the
/// basic plane is two surrogates and no letter. Such a character is shown to the pattern as one unit of the same
/// general category, which is all that the patterns of tokenizers ask about.
/// </summary>
internal readonly struct CodePoints
{
    // One rare character of the basic plane for each category, in the order of UnicodeCategory.
    private const string Examples =
        "\u0100\u0101\u01C5\u02B0\u0294\u0300\u0903\u0488\u0660\u16EE\u09F4\u2003\u2028\u2029\u0085"
        + "\u2060\uFFFD\uE000\u203F\u2010\u0F3A\u0F3B\u2E02\u2E03\u2020\u2200\u20A0\u02C2\u2100\u0378";

    private readonly int[]? origins;

    public CodePoints(string text)
    {
        Text = text;
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return;

        var shown = new StringBuilder(text.Length);
        origins = new int[text.Length + 1];
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            origins[shown.Length] = at;
            shown.Append(rune.IsBmp ? (char)rune.Value : Examples[(int)Rune.GetUnicodeCategory(rune)]);
            at += rune.Utf16SequenceLength;
        }
        origins[shown.Length] = at;
        Text = shown.ToString();
    }

    /// <summary>What the pattern sees, one unit a character.</summary>
    public string Text { get; }

    /// <summary>Where a character of <see cref="Text"/> starts in the text itself.</summary>
    public int Origin(int at) => origins is null ? at : origins[at];
}
