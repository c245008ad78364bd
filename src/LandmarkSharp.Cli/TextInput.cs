using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Text;
using LandmarkSharp.Text.Documents;

namespace LandmarkSharp.Cli;

/// <summary>The text a command reads: a file or standard input, which may be a document that holds one.</summary>
internal static class TextInput
{
    private const int SampleCharacters = 1 << 16;

    /// <summary>Opens it, refusing what is empty or no text.</summary>
    /// <param name="path">The file; null for standard input.</param>
    /// <param name="through">What its bytes are read through, for one who wants to see them.</param>
    public static TextReader Open(string? path, Func<Stream, Stream>? through = null)
    {
        if (IsFile(path)) return DocumentText.Open(path!, through);
        if (!Console.IsInputRedirected) throw new LandmarkException("There is no text to read; give a file by --text, or pipe a text in.");
        var input = Console.OpenStandardInput();
        return DocumentText.Open(through?.Invoke(input) ?? input, "Standard input");
    }

    /// <summary>
    /// A file, or those of a folder, each seen to be text: the last is not to fail when hours have been
    /// spent on the others.
    /// </summary>
    public static IReadOnlyList<string> Files(string path)
    {
        var files = TextFile.Enumerate(path);
        if (Directory.Exists(path) || CanBeReadTwice(path))
            foreach (var file in files) TextFile.Open(file).Dispose();
        return files;
    }

    /// <summary>As <see cref="Files"/>, of documents of all kinds.</summary>
    public static IReadOnlyList<string> Documents(string path)
    {
        var files = DocumentText.Enumerate(path);
        if (Directory.Exists(path) || CanBeReadTwice(path))
            foreach (var file in files) DocumentText.Open(file).Dispose();
        return files;
    }

    /// <summary>A guess at its tokens, for a progress bar; 0 when it cannot be known.</summary>
    public static long TokensAbout(string? path) => IsFile(path) && IsPlain(path!) && File.Exists(path) ? new FileInfo(path).Length * 10 / 38 : 0;

    /// <summary>Refuses a file that would not fit in memory. What is piped in, or a document, is refused when it does not fit any more.</summary>
    /// <param name="engine">The model that is to read it.</param>
    /// <param name="path">The file; null for standard input.</param>
    /// <param name="most">Tokens of it that are held at once.</param>
    public static void RequireRoom(LandmarkEngine engine, string? path, long most = long.MaxValue)
    {
        if (!CanBeReadTwice(path) || !IsPlain(path!)) return;
        // Hardly a token is shorter than a byte: most texts need no sample.
        var length = new FileInfo(path!).Length;
        if (engine.HasRoom(Math.Min(most, length))) return;
        using var reader = (StreamReader)TextFile.Open(path!);
        var sample = new char[SampleCharacters];
        var read = sample.AsSpan(0, reader.ReadBlock(sample));
        var tokens = engine.Tokenizer.Encode(read.ToString()).Length;
        var bytes = Math.Max(1, reader.CurrentEncoding.GetByteCount(read));
        engine.RequireRoom(Math.Min(most, (long)((double)length / bytes * tokens)), $"'{path}'");
    }

    /// <summary>
    /// Whether it is a file that keeps what is in it. A pipe gives its text once, and its writer
    /// stops when it is closed.
    /// </summary>
    private static bool CanBeReadTwice(string? path)
    {
        if (!IsFile(path) || !File.Exists(path) || new FileInfo(path).Length == 0) return false;
        // A shell's /dev/fd/N is a link with a length of its own.
        using var opened = File.OpenRead(path);
        return opened.CanSeek;
    }

    /// <summary>Whether a file's bytes are about as many as its text's.</summary>
    private static bool IsPlain(string path) => DocumentText.OfName(path) == DocumentFormat.Text;

    /// <summary>Whether a file is meant, not standard input.</summary>
    public static bool IsFile(string? path) => path is not null and not "-";
}
