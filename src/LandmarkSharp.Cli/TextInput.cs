using LandmarkSharp.Text;

namespace LandmarkSharp.Cli;

/// <summary>The text a command reads: a file, or standard input.</summary>
internal static class TextInput
{
    /// <summary>Opens it, refusing what is empty or no text.</summary>
    public static TextReader Open(string? path)
    {
        if (path is not null and not "-") return TextFile.Open(path);
        if (!Console.IsInputRedirected) throw new LandmarkException("There is no text to read; give a file by --text, or pipe a text in.");
        return TextFile.Open(Console.OpenStandardInput(), "Standard input");
    }

    /// <summary>A guess at its tokens, for a progress bar; 0 when it cannot be known.</summary>
    public static long TokensAbout(string? path) => path is not null && File.Exists(path) ? new FileInfo(path).Length * 10 / 38 : 0;
}
