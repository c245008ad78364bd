using Parquet;
using Parquet.Meta;
using Parquet.Schema;

namespace LandmarkSharp.Training.Corpus;

/// <summary>Parquet: a column of text (or of bytes, where a writer did not say that they are text), a row group at a time.</summary>
internal static class ParquetRows
{
    public static IEnumerable<CorpusRow> Read(Stream stream, string column)
    {
        using var seekable = UnpackedFile.Of(stream);
        var reader = ParquetReader.CreateAsync(seekable).GetAwaiter().GetResult();
        // As text the library would replace what is no UTF-8 in silence, and cut prefixes (DELTA_BYTE_ARRAY) by characters where
        // the format counts bytes. Columns that do not say that they are text come as the bytes they are.
        foreach (var element in reader.Metadata!.Schema.Where(e => e.ConvertedType == ConvertedType.UTF8 || e.LogicalType?.STRING is not null))
            (element.ConvertedType, element.LogicalType) = (null, null);

        var fields = reader.Schema.Fields;
        var found = fields.FirstOrDefault(f => f.Name == column);
        if (found is not DataField { IsArray: false } field || field.ClrType != typeof(ReadOnlyMemory<byte>))
        {
            yield return found is null
                ? CorpusRow.NoColumn(column, fields.Select(f => f.Name))
                : CorpusRow.NoText(column, (found as DataField)?.ClrType.Name ?? found.SchemaType.ToString());
            yield break;
        }
        var row = 0L;
        foreach (var group in reader.RowGroups)
        {
            var values = new ReadOnlyMemory<byte>[group.RowCount];
            var levels = field.IsNullable ? new int[values.Length] : null;
            group.ReadRawAsync(field, values.AsMemory(), levels?.AsMemory(), null).AsTask().GetAwaiter().GetResult();
            // The values lie one after the other, without those that are absent.
            var next = 0;
            for (var i = 0; i < values.Length; i++)
                yield return levels is null || levels[i] > 0 ? CorpusRow.Of(++row, values[next++].Span) : CorpusRow.Null(++row, column);
        }
    }
}
