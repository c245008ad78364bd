using LandmarkSharp.Text;

namespace LandmarkSharp.Training.Corpus;

/// <summary>
/// Reads the documents of files in pieces, in order, and hands what is no document to <paramref name="skip"/>: a file that
/// breaks off ends there, and the next one follows.
/// </summary>
/// <param name="pieces">How documents are cut.</param>
/// <param name="column">The field or column that holds the text.</param>
/// <param name="skip">Is told of each row and file that gave no document; what it throws ends the reading.</param>
internal sealed class CorpusReader(TextPieces pieces, string column, Action<SkippedText> skip)
{
    private FileStream? file;
    private long bytesBefore;

    /// <summary>Files read to their end.</summary>
    public int FilesRead { get; private set; }

    /// <summary>Bytes read of all files, on the disk.</summary>
    public long BytesRead => bytesBefore + (file is { CanSeek: true } ? file.Position : 0);

    /// <summary>The pieces of every document; null where what came of the last one is to be forgotten, as it broke off.</summary>
    public IEnumerable<TextPiece?> Read(IEnumerable<CorpusFile> files)
    {
        foreach (var source in files)
        {
            foreach (var piece in ReadToEnd(source)) yield return piece;
            (file, bytesBefore, FilesRead) = (null, bytesBefore + source.Length, FilesRead + 1);
        }
    }

    /// <summary>The pieces of a file, up to where it breaks off: that is null.</summary>
    private IEnumerable<TextPiece?> ReadToEnd(CorpusFile source)
    {
        var last = 0L;
        using var content = Pieces(source).GetEnumerator();
        while (true)
        {
            TextPiece? piece = null;
            CorpusRow row;
            try
            {
                if (!content.MoveNext()) yield break;
                (row, piece) = content.Current;
                last = row.Row ?? last;
            }
            // Libraries that parse what anybody wrote may throw anything; that there is no room to unpack it says nothing of a file.
            catch (Exception e) when (e is not OutOfMemoryException && !WholeFiles.IsFull(e.InnerException))
            {
                row = CorpusRow.Without(null, Reason(e, source, last));
            }
            if (row.Problem is null)
            {
                yield return piece;
                continue;
            }
            skip(new SkippedText(source.Path, source.Format == CorpusFormat.JsonLines ? "Line" : "Row", row.Row, row.Problem));
            if (row.Row is not null) continue;
            yield return null;
            yield break;
        }
    }

    private IEnumerable<(CorpusRow Row, TextPiece? Piece)> Pieces(CorpusFile source)
    {
        using var opened = file = File.OpenRead(source.Path);
        using var content = source.Content(opened);
        if (source.Format == CorpusFormat.Text)
        {
            using var text = TextFile.Open(content, source.Path);
            foreach (var piece in pieces.Cut(text)) yield return (default, piece);
            yield break;
        }
        var rows = source.Format switch
        {
            CorpusFormat.Parquet => ParquetRows.Read(content, column),
            CorpusFormat.Arrow => ArrowRows.Read(content, column),
            _ => JsonLinesRows.Read(content, column),
        };
        foreach (var row in rows)
        {
            if (row.Text is null) yield return (row, null);
            else foreach (var piece in pieces.Cut(new StringReader(row.Text))) yield return (row, piece);
        }
    }

    private static string Reason(Exception e, CorpusFile source, long last) => e switch
    {
        // It names the file, and ends with what to do.
        LandmarkException => e.Message.Replace($"'{source.Path}' ", "", StringComparison.Ordinal).Split(';')[0],
        _ => $"{(last > 0 ? $"breaks off after row {last:N0}" : "cannot be read")} ({e.InBrief().ReplaceLineEndings(" ")})",
    };
}
