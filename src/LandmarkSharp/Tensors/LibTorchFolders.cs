namespace LandmarkSharp.Tensors;

/// <summary>Where libtorch's files may lie: beside the program, in a PyTorch, in the packages beside that.</summary>
internal static class LibTorchFolders
{
    public const string CpuLibrary = "libtorch_cpu.so";

    /// <summary>The folders in which .NET looks for native libraries of this program.</summary>
    public static IReadOnlyList<string> OfProgram()
    {
        var search = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        return
        [
            .. search.Split(':', StringSplitOptions.RemoveEmptyEntries)
                .Append(AppContext.BaseDirectory)
                .Select(Normalize)
                .Distinct(StringComparer.Ordinal),
        ];
    }

    /// <summary>The first of the program's folders whose <c>libtorch</c>, or which itself, holds libtorch.</summary>
    public static string? BesideProgram() =>
        OfProgram()
            .SelectMany(folder => new[] { Path.Combine(folder, "libtorch"), folder })
            .FirstOrDefault(HasLibTorch);

    /// <summary>The folder itself or its <c>lib</c>, whichever holds libtorch; null when neither does.</summary>
    public static string? Within(string directory) =>
        new[] { directory, Path.Combine(directory, "lib") }.Select(Normalize).FirstOrDefault(HasLibTorch);

    /// <summary>
    /// The folders that may hold what libtorch needs: its own, pip's <c>nvidia/**/lib</c> beside the package
    /// <c>torch</c>, and the folder of a system-wide CUDA.
    /// </summary>
    public static IEnumerable<string> WithLibraries(string torchLib)
    {
        yield return torchLib;
        var packages = Path.GetFullPath(Path.Combine(torchLib, "..", ".."));
        var nvidia = Path.Combine(packages, "nvidia");
        if (Directory.Exists(nvidia))
        {
            var options = new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 };
            foreach (var lib in Directory.EnumerateDirectories(nvidia, "lib", options).Order(StringComparer.Ordinal))
                yield return lib;
        }

        foreach (var folder in new[] { Path.Combine(packages, "torch.libs"), "/usr/local/cuda/lib64" })
        {
            if (Directory.Exists(folder))
                yield return folder;
        }
    }

    /// <summary>Whether two folders hold the very same <c>libtorch_cpu.so</c>, links followed.</summary>
    public static bool SameLibTorch(string a, string b) =>
        string.Equals(RealLibrary(a), RealLibrary(b), StringComparison.Ordinal);

    public static bool HasLibTorch(string folder) => File.Exists(Path.Combine(folder, CpuLibrary));

    public static string Normalize(string folder) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));

    // A link may stand anywhere in the path (a virtual environment, a build's output): resolve each part.
    private static string RealLibrary(string folder) => RealPath(Path.Combine(Normalize(folder), CpuLibrary), 40);

    private static string RealPath(string path, int linksLeft)
    {
        var real = "/";
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < parts.Length; i++)
        {
            var next = Path.Combine(real, parts[i]);
            if (linksLeft > 0 && new FileInfo(next).LinkTarget is { } target)
            {
                var rest = string.Join('/', parts[(i + 1)..]);
                return RealPath(Path.GetFullPath(Path.Combine(real, target, rest)), linksLeft - 1);
            }

            real = next;
        }

        return real;
    }
}
