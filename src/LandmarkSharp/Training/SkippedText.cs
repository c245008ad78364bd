namespace LandmarkSharp.Training;

/// <summary>A file, or a row of one, that gave no document.</summary>
/// <param name="File">The file.</param>
/// <param name="Unit">What its rows are: a line, or a row of a table.</param>
/// <param name="Row">The number of the row, from 1; null where it is said of the file.</param>
/// <param name="Reason">Why, as what follows the file's or the row's name.</param>
public sealed record SkippedText(string File, string Unit, long? Row, string Reason)
{
    /// <summary>All of it, without the full stop.</summary>
    public override string ToString() => Row is null ? $"'{File}' {Reason}" : $"{Unit} {Row:N0} of '{File}' {Reason}";
}
