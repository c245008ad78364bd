using LandmarkSharp.Text;
using ZstdSharp;

namespace LandmarkSharp.Training.Corpus;

/// <summary>How a file holds its documents.</summary>
internal enum CorpusFormat
{
    /// <summary>The whole file is one document.</summary>
    Text,

    /// <summary>A JSON object a line.</summary>
    JsonLines,

    /// <summary>A Parquet table.</summary>
    Parquet,

    /// <summary>An Arrow table: an IPC file or stream.</summary>
    Arrow,
}

/// <summary>A file of documents, known by its name alone.</summary>
/// <param name="Path">Where it lies.</param>
internal sealed record CorpusFile(string Path)
{
    private const string Zstd = ".zst";

    private static readonly Dictionary<string, CorpusFormat> Endings = new(StringComparer.OrdinalIgnoreCase)
    {
        [".txt"] = CorpusFormat.Text,
        [".jsonl"] = CorpusFormat.JsonLines,
        [".ndjson"] = CorpusFormat.JsonLines,
        [".parquet"] = CorpusFormat.Parquet,
        [".arrow"] = CorpusFormat.Arrow,
        [".arrows"] = CorpusFormat.Arrow,
        [".feather"] = CorpusFormat.Arrow,
    };

    /// <summary>What its name says it is; a name that says nothing is that of a text.</summary>
    public CorpusFormat Format => Endings.GetValueOrDefault(Ending(Path), CorpusFormat.Text);

    /// <summary>Bytes on the disk; 0 where there is no file.</summary>
    public long Length { get; } = Math.Max(0, TextFile.LengthOf(Path));

    /// <summary>
    /// The files that a path stands for: itself, or for a folder every file in it and below whose name ends as one of the
    /// formats, in ordinal order, so that it is the same on every machine.
    /// </summary>
    /// <exception cref="LandmarkException">The path does not exist, or the folder holds no such file.</exception>
    public static IReadOnlyList<CorpusFile> Enumerate(string path)
    {
        if (File.Exists(path)) return [new CorpusFile(path)];
        if (!Directory.Exists(path)) throw new LandmarkException($"There is no file or folder '{path}'; check the path.");
        CorpusFile[] files =
        [
            .. TextFile.Below(path).Where(f => Endings.ContainsKey(Ending(f))).Select(f => new CorpusFile(f)),
        ];
        return files.Length > 0
            ? files
            : throw new LandmarkException(
                $"The folder '{path}' holds no {string.Join(", ", Endings.Keys.Select(e => "*" + e))} file, plain or as *{Zstd}; "
                + "give a folder of texts.");
    }

    /// <summary>The content of the opened file, decompressed. It is closed with it.</summary>
    public Stream Content(Stream file) =>
        Path.EndsWith(Zstd, StringComparison.OrdinalIgnoreCase) ? new DecompressionStream(file, leaveOpen: false) : file;

    private static string Ending(string path) => System.IO.Path.GetExtension(
        path.EndsWith(Zstd, StringComparison.OrdinalIgnoreCase) ? path[..^Zstd.Length] : path);
}
