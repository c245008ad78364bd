using System.Buffers;
using System.IO.Enumeration;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Opens the text that people hand over: UTF-8 (with or without its mark) or UTF-16 with a mark, of any size.
/// Whatever is no text is refused in one sentence before anything is read from it.
/// </summary>
public static class TextFile
{
    private const int SampleBytes = 1 << 16;

    /// <summary>
    /// Opens a text file for reading from its start; a file of any size, since little is read ahead. It is opened once,
    /// so a pipe will do. Line ends are left as they are; a stray invalid byte reads as U+FFFD.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="through">What its bytes are read through, for one who wants to see them; closed with the reader.</param>
    /// <exception cref="LandmarkException">
    /// There is no such file, it cannot be read, it is empty or all white space, or it is not text.
    /// </exception>
    public static TextReader Open(string path, Func<Stream, Stream>? through = null) =>
        Reading(path, file => Open(through?.Invoke(file) ?? file, path));

    /// <summary>
    /// Reads text from a stream, such as standard input. The stream is closed with the reader.
    /// </summary>
    /// <param name="stream">The bytes; need not be seekable.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="LandmarkException">The stream is empty or all white space, or does not start like text.</exception>
    public static TextReader Open(Stream stream, string name)
    {
        try
        {
            return new StreamReader(new ReplayStream(Beginning(stream, name), stream), Encoding.UTF8, true, SampleBytes);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The text files that a path stands for: itself, or for a folder every <c>*.txt</c> in it and below, in ordinal
    /// order, so that it is the same on every machine.
    /// </summary>
    /// <exception cref="LandmarkException">The path does not exist, or the folder holds no <c>*.txt</c>.</exception>
    public static IReadOnlyList<string> Enumerate(string path)
    {
        if (File.Exists(path)) return [path];
        if (!Directory.Exists(path)) throw new LandmarkException($"There is no file or folder '{path}'; check the path.");
        string[] files = [.. Below(path).Where(f => f.EndsWith(".txt", StringComparison.Ordinal))];
        return files.Length > 0
            ? files
            : throw new LandmarkException($"The folder '{path}' holds no *.txt file; give a folder of text files.");
    }

    /// <summary>
    /// The files in a folder and below, in ordinal order. Links to files are files; links to folders, which may lead round in a circle,
    /// are left alone.
    /// </summary>
    internal static IEnumerable<string> Below(string folder) =>
        new FileSystemEnumerable<string>(
            folder, (ref entry) => entry.ToSpecifiedFullPath(),
            new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = FileAttributes.None })
        {
            ShouldIncludePredicate = (ref entry) => !entry.IsDirectory,
            ShouldRecursePredicate = (ref entry) => !entry.Attributes.HasFlag(FileAttributes.ReparsePoint),
        }.Order(StringComparer.Ordinal);

    /// <summary>Bytes of a file, or of the one that a link leads to; -1 where there is none, as where its name is not UTF-8.</summary>
    internal static long LengthOf(string path)
    {
        var file = new FileInfo(path);
        if (file.Exists && file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target) file = target;
        return file.Exists ? file.Length : -1;
    }

    /// <summary>Opens a file to read, with a sentence where that cannot be.</summary>
    internal static TextReader Reading(string path, Func<Stream, TextReader> read)
    {
        if (Directory.Exists(path)) throw new LandmarkException($"'{path}' is a folder; give a text file.");
        if (!File.Exists(path)) throw new LandmarkException($"There is no file '{path}'; check the path.");
        try
        {
            return read(File.OpenRead(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"'{path}' cannot be read ({e.Message.TrimEnd('.')}); check its permissions.", e);
        }
    }

    /// <summary>What a stream begins with: a sample, or more where that is white space, until there is something to read.</summary>
    private static ReadOnlyMemory<byte> Beginning(Stream stream, string name)
    {
        var seen = new byte[SampleBytes];
        var chars = new char[SampleBytes + 1];
        Decoder? decoder = null;
        for (var length = 0; ;)
        {
            if (length == seen.Length) Array.Resize(ref seen, 2 * length);
            var more = seen.AsSpan(length, Math.Min(SampleBytes, seen.Length - length));
            more = more[..stream.ReadAtLeast(more, more.Length, throwOnEndOfStream: false)];
            if (decoder is null)
            {
                Check(more, name);
                decoder = more is [0xFF, 0xFE, ..] ? Encoding.Unicode.GetDecoder()
                    : more is [0xFE, 0xFF, ..] ? Encoding.BigEndianUnicode.GetDecoder() : Encoding.UTF8.GetDecoder();
            }
            length += more.Length;
            if (!IsBlank(chars.AsSpan(0, decoder.GetChars(more, chars, flush: more.Length < SampleBytes)))) return seen.AsMemory(0, length);
            if (more.Length < SampleBytes)
                throw new LandmarkException($"'{name}' holds nothing but white space; give a file with text in it.");
        }
    }

    // A mark at the start is as good as white space.
    private static bool IsBlank(ReadOnlySpan<char> chars) => chars.TrimStart('\uFEFF').IsWhiteSpace();

    private static void Check(ReadOnlySpan<byte> sample, string name)
    {
        if (sample.IsEmpty) throw new LandmarkException($"'{name}' is empty; give a file with text in it.");
        if (sample is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..]) return;
        if (sample.IndexOf((byte)0) is >= 0 and var nul)
            throw new LandmarkException($"'{name}' is not text: byte {nul} is NUL; give a UTF-8 text file.");

        // A few damaged characters are let through; a file in another encoding has them everywhere.
        const int Tolerated = 1, OneIn = 1000;
        var (invalid, first) = (0, -1);
        for (var at = 0; at < sample.Length;)
        {
            var status = Rune.DecodeFromUtf8(sample[at..], out _, out var length);
            if (status == OperationStatus.NeedMoreData && sample.Length == SampleBytes) break;
            if (status != OperationStatus.Done)
            {
                invalid++;
                if (first < 0) first = at;
            }
            at += length;
        }
        if (invalid > Tolerated && invalid > sample.Length / OneIn)
            throw new LandmarkException(
                $"'{name}' is not UTF-8 text: byte {first} (0x{sample[first]:X2}) "
                + $"is part of no character, as are {invalid - 1} more; convert the file to UTF-8.");
    }
}
