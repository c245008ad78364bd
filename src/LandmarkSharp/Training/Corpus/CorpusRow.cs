using System.Text;

namespace LandmarkSharp.Training.Corpus;

/// <summary>A row of a table, which is a document or has a reason why not.</summary>
/// <param name="Row">Its number, from 1; null for what is said of the whole file.</param>
/// <param name="Text">The document.</param>
/// <param name="Problem">Why there is none, as what follows "the row".</param>
internal readonly record struct CorpusRow(long? Row, string? Text, string? Problem)
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>A row without a document.</summary>
    public static CorpusRow Without(long? row, string problem) => new(row, null, problem);

    /// <summary>A row of this text, which must have something to read.</summary>
    public static CorpusRow Of(long row, string text) =>
        string.IsNullOrWhiteSpace(text) ? Without(row, "holds nothing but white space") : new(row, text, null);

    /// <summary>A row of this text in UTF-8.</summary>
    public static CorpusRow Of(long row, ReadOnlySpan<byte> utf8)
    {
        try
        {
            return Of(row, Strict.GetString(utf8));
        }
        catch (DecoderFallbackException e)
        {
            return Without(row, $"is not UTF-8 text: byte {e.Index} is part of no character");
        }
    }

    /// <summary>A row whose value is absent.</summary>
    public static CorpusRow Null(long row, string column) => Without(row, $"has null for '{column}'");

    /// <summary>A table without the column that was asked for.</summary>
    public static CorpusRow NoColumn(string column, IEnumerable<string> columns) =>
        Without(null, $"has no column '{column}' but {string.Join(", ", columns.Select(c => $"'{c}'"))}");

    /// <summary>A table whose column holds something else.</summary>
    public static CorpusRow NoText(string column, string type) => Without(null, $"has a column '{column}' of {type}, not of text");
}
