using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using LandmarkSharp.Text;

namespace LandmarkSharp.Training.Corpus;

/// <summary>Arrow's IPC, file or stream: a column of text or bytes, a record batch at a time.</summary>
internal static class ArrowRows
{
    private static ReadOnlySpan<byte> FileMark => "ARROW1"u8;

    private static ReadOnlySpan<byte> MessageMark => [0xFF, 0xFF, 0xFF, 0xFF];

    public static IEnumerable<CorpusRow> Read(Stream stream, string column)
    {
        var start = new byte[8];
        start = start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        var isFile = start.AsSpan().StartsWith(FileMark);
        if (!isFile && !start.AsSpan().StartsWith(MessageMark))
        {
            yield return CorpusRow.Without(null, "is no Arrow IPC file or stream");
            yield break;
        }
        using var forwards = new ReplayStream(start, stream);
        using var content = !isFile ? forwards : stream.CanSeek ? stream : UnpackedFile.Of(forwards);
        using var reader = isFile
            ? new ArrowFileReader(content, new CompressionCodecFactory()) : new ArrowStreamReader(content, new CompressionCodecFactory());
        var columns = reader.Schema.FieldsList;
        if (columns.FirstOrDefault(f => f.Name == column) is not { } field)
        {
            yield return CorpusRow.NoColumn(column, columns.Select(f => f.Name));
            yield break;
        }
        var row = 0L;
        while (reader.ReadNextRecordBatch() is { } batch)
        {
            using var _ = batch;
            var cells = batch.Column(columns.ToList().IndexOf(field));
            if (Cells(cells) is not { } read)
            {
                yield return CorpusRow.NoText(column, field.DataType.Name);
                yield break;
            }
            for (var i = 0; i < cells.Length; i++) yield return read(i, ++row);
        }

        // How to read a cell; null where they are no text.
        Func<int, long, CorpusRow>? Cells(IArrowArray cells)
        {
            switch (cells)
            {
                case NullArray:
                    return (_, row) => CorpusRow.Null(row, column);
                case BinaryArray array:
                    return (i, row) => Cell(array.GetBytes(i, out var isNull), isNull, row);
                case LargeBinaryArray array:
                    return (i, row) => Cell(array.GetBytes(i, out var isNull), isNull, row);
                case BinaryViewArray array:
                    return (i, row) => Cell(array.GetBytes(i, out var isNull), isNull, row);
                case DictionaryArray array when Cells(array.Dictionary) is { } words:
                    int[] indices = [.. array.EnumeratePhysicalIndices()];
                    return (i, row) => array.Indices.IsNull(i) ? CorpusRow.Null(row, column) : words(indices[i], row);
                default:
                    return null;
            }
        }

        CorpusRow Cell(ReadOnlySpan<byte> utf8, bool isNull, long row) => isNull ? CorpusRow.Null(row, column) : CorpusRow.Of(row, utf8);
    }
}
