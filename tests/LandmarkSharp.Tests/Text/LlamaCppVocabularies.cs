using System.ComponentModel;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;

namespace LandmarkSharp.Tests.Text;

/// <summary>
/// The vocabularies and golden strings of llama.cpp's own tests. npm's node-llama-cpp carries llama.cpp's repository
/// as a git bundle; it is fetched once, by npm, into the user's cache folder. Where that cannot be done the tests are
/// skipped with the reason.
/// </summary>
public static class LlamaCppVocabularies
{
    private const string Package = "node-llama-cpp";
    private const string Version = "3.22.1";
    private static readonly string[] Names = ["llama-spm", "gpt-2", "llama-bpe", "qwen2"];
    private static readonly Lazy<(string? Folder, string Reason)> Fetched = new(Fetch);

    /// <summary>The file models/ggml-vocab-NAME; skips the test when it cannot be had.</summary>
    public static string Require(string name)
    {
        var (folder, reason) = Fetched.Value;
        Assert.SkipWhen(folder is null, $"llama.cpp's vocabularies are not here: {reason}");
        return Path.Combine(folder!, $"ggml-vocab-{name}.gguf");
    }

    private static (string? Folder, string Reason) Fetch()
    {
        var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } set ? set
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        var cache = Path.Combine(root, "landmarksharp-tests", $"{Package}-{Version}");
        if (Directory.Exists(cache)) return (cache, "");

        var work = Directory.CreateTempSubdirectory("landmarksharp-npm-").FullName;
        try
        {
            Run(work, "npm", "pack", $"{Package}@{Version}", "--silent");
            Unpack(Path.Combine(work, $"{Package}-{Version}.tgz"), Path.Combine(work, "repository.bundle"));
            Run(work, "git", "clone", "--quiet", "--no-checkout", "repository.bundle", "repository");
            var repository = Path.Combine(work, "repository");
            Run(repository, "git", ["checkout", "--quiet", "HEAD", "--",
                .. Names.SelectMany(name => new[] { "", ".inp", ".out" }.Select(end => $"models/ggml-vocab-{name}.gguf{end}"))]);

            Directory.CreateDirectory(Path.GetDirectoryName(cache)!);
            var models = Path.Combine(repository, "models");
            var incoming = $"{cache}.{Environment.ProcessId}";
            Directory.CreateDirectory(incoming);
            foreach (var file in Directory.EnumerateFiles(models)) File.Copy(file, Path.Combine(incoming, Path.GetFileName(file)));
            if (!Directory.Exists(cache)) Directory.Move(incoming, cache);
            return (cache, "");
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException
            or Win32Exception or TimeoutException)
        {
            return (null, e.Message);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static void Unpack(string archive, string bundle)
    {
        using var tar = new TarReader(new GZipStream(File.OpenRead(archive), CompressionMode.Decompress));
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.Name != "package/llama/gitRelease.bundle") continue;
            entry.ExtractToFile(bundle, overwrite: false);
            return;
        }
        throw new InvalidDataException($"{Package} {Version} has no llama/gitRelease.bundle.");
    }

    private static void Run(string folder, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(100)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {arguments[0]} took too long.");
        }
        if (process.ExitCode != 0) throw new IOException($"{program} {arguments[0]} failed: {error.Result.Trim()} {output.Result.Trim()}");
    }
}
