using System.Text;

namespace LandmarkSharp.Text.Documents;

/// <summary>Lays out text as it is read: white space as the layout has it, not the source, and empty lines between paragraphs.</summary>
internal sealed class TextLayout
{
    private const int Tab = 4;

    private readonly StringBuilder text = new();
    private int breaks, spaces;         // that come before the next character, if one comes
    private string marker = "";
    private bool isNewCell;

    /// <summary>Characters so far.</summary>
    public int Length => text.Length;

    /// <summary>Ends a line.</summary>
    public void Line() => Break(1);

    /// <summary>Ends a paragraph.</summary>
    public void Paragraph() => Break(2);

    /// <summary>Begins an item of a list, at a line's start.</summary>
    public void Item(string mark)
    {
        Line();
        marker = mark;
    }

    /// <summary>Ends an item: one without text leaves no mark.</summary>
    public void EndItem()
    {
        marker = "";
        Line();
    }

    /// <summary>Begins a cell of a table, on the line of the one before it.</summary>
    public void Cell() => isNewCell = breaks == 0 && text.Length > 0;

    /// <summary>Appends text, any white space in which is a single space.</summary>
    public void Append(ReadOnlySpan<char> added)
    {
        foreach (var c in added)
            if (c is ' ' or '\t' or '\n' or '\r' or '\f' or '\u00A0') spaces = 1;
            else Put(c, indented: false);
    }

    /// <summary>Appends text whose lines and spaces are its own.</summary>
    public void AppendLines(ReadOnlySpan<char> added)
    {
        foreach (var c in added)
            if (c == '\n') Break(Math.Min(2, breaks + 1));
            else if (c is ' ' or '\u00A0') spaces++;
            else if (c == '\t') spaces += Tab;
            else if (c is not ('\r' or '\f')) Put(c, indented: true);
    }

    /// <inheritdoc/>
    public override string ToString() => text.ToString();

    private void Break(int lines)
    {
        breaks = Math.Max(breaks, lines);
        spaces = 0;
        isNewCell = false;
    }

    private void Put(char c, bool indented)
    {
        if (c is '\u00AD' or '\u200B' or '\uFEFF' or '\0') return;         // soft hyphens and what has no width
        var atStart = text.Length == 0 || breaks > 0;
        if (text.Length > 0) text.Append('\n', breaks);
        text.Append(marker);
        if (isNewCell) text.Append(" | ");
        else if (!atStart || (indented && marker.Length == 0)) text.Append(' ', spaces);
        text.Append(c);
        (breaks, spaces, marker, isNewCell) = (0, 0, "", false);
    }
}
