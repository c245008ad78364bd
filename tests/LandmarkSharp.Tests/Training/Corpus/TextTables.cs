using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using Apache.Arrow.Types;
using Parquet;
using Parquet.Schema;
using ZstdSharp;
using Field = Apache.Arrow.Field;

namespace LandmarkSharp.Tests.Training.Corpus;

/// <summary>Writes rows of text as each kind of file, in several row groups or record batches.</summary>
internal static class TextTables
{
    /// <summary>The kinds, as endings; what stands before the last dot tells variants apart.</summary>
    public static readonly string[] Kinds =
    [
        ".jsonl", ".ndjson", ".parquet", ".dict.parquet", ".arrow", ".zip.arrow", ".dict.feather", ".stream.arrows", ".large.arrow", ".view.arrow",
    ];

    /// <summary>The bytes of a file of this kind.</summary>
    public static byte[] Write(string kind, string?[] rows, string column = "text", int group = 3) => kind switch
    {
        ".jsonl" or ".ndjson" => [.. rows.SelectMany(r => JsonSerializer.SerializeToUtf8Bytes(
            new Dictionary<string, object?> { ["id"] = 1, [column] = r }).Append((byte)'\n'))],
        ".parquet" => Parquet(rows, column, group, dictionary: false),
        ".dict.parquet" => Parquet(rows, column, group, dictionary: true),
        _ => Arrow(kind, rows, column, group),
    };

    public static byte[] Zstd(byte[] bytes)
    {
        using var compressor = new Compressor();
        return compressor.Wrap(bytes).ToArray();
    }

    private static byte[] Parquet(string?[] rows, string column, int group, bool dictionary)
    {
        var (id, text) = (new DataField<int>("id"), new DataField<string>(column));
        var stream = new MemoryStream();
        Task.Run(async () =>
        {
            var options = new ParquetOptions();
            options.ColumnEncodingHints[column] = dictionary ? EncodingHint.Dictionary : EncodingHint.Default;
            await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(id, text), stream, options);
            foreach (var part in rows.Chunk(group))
            {
                using var to = writer.CreateRowGroup();
                await to.WriteAsync<int>(id, new int[part.Length].AsMemory());
                await to.WriteAsync(text, part);
            }
        }).GetAwaiter().GetResult();
        return stream.ToArray();
    }

    private static byte[] Arrow(string kind, string?[] rows, string column, int group)
    {
        // A dictionary is that of the whole table, in words of the first sight.
        string[] words = [.. rows.OfType<string>().Distinct(StringComparer.Ordinal)];
        RecordBatch[] batches = [.. rows.Chunk(group).DefaultIfEmpty([]).Select(part => Batch(Cells(part)))];
        var stream = new MemoryStream();
        var options = new IpcOptions
        {
            CompressionCodec = kind == ".zip.arrow" ? CompressionCodecType.Zstd : null,
            CompressionCodecFactory = new CompressionCodecFactory(),
        };
        using (var writer = kind.EndsWith('s')
            ? new ArrowStreamWriter(stream, batches[0].Schema, leaveOpen: true) : new ArrowFileWriter(stream, batches[0].Schema, true, options))
        {
            writer.WriteStart();
            foreach (var batch in batches) writer.WriteRecordBatch(batch);
            writer.WriteEnd();
        }
        return stream.ToArray();

        RecordBatch Batch(IArrowArray cells) => new(
            new Schema([new Field("id", Int32Type.Default, true), new Field(column, cells.Data.DataType, true)], null),
            [new Int32Array.Builder().AppendRange(Enumerable.Range(0, cells.Length)).Build(), cells], cells.Length);

        IArrowArray Cells(string?[] part) => kind switch
        {
            ".large.arrow" => new LargeStringArray.Builder().AppendRange(part).Build(),
            ".view.arrow" => new StringViewArray.Builder().AppendRange(part).Build(),
            ".dict.feather" => new DictionaryArray(
                new DictionaryType(Int16Type.Default, StringType.Default, false),
                part.Aggregate(new Int16Array.Builder(), (to, p) =>
                    p is null ? to.AppendNull() : to.Append((short)System.Array.IndexOf(words, p))).Build(),
                new StringArray.Builder().AppendRange(words).Build()),
            _ => new StringArray.Builder().AppendRange(part).Build(),
        };
    }
}
