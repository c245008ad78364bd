using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;

namespace LandmarkSharp.Tensors;

/// <summary>Finds libtorch, checks it, and loads it in the order that works.</summary>
internal static partial class LibTorchLoader
{
    private const string Binding = "libLibTorchSharp.so";
    private const string Supported = "PyTorch 2.10, 2.11 or 2.12";

    private static readonly Version Oldest = new(2, 10);
    private static readonly Version Newest = new(2, 12);

    public static LoadedLibTorch Load(string? directory)
    {
        CheckPlatform(
            OperatingSystem.IsLinux(), RuntimeInformation.ProcessArchitecture, RuntimeInformation.RuntimeIdentifier);
        OpenMp.SpinBriefly();
        var folder = Choose(
            directory,
            Environment.GetEnvironmentVariable(LibTorch.DirectoryVariable),
            DynamicLinker.FolderOfLoaded(LibTorchFolders.CpuLibrary));
        var result = Preload(folder);
        StartTorchSharp(folder);
        NativeLibrary.SetDllImportResolver(
            typeof(LibTorchLoader).Assembly, (name, _, _) => result.Resolve(name));
        return result;
    }

    /// <summary>Throws when <paramref name="wanted"/> is not the folder that is loaded.</summary>
    public static void RequireSame(string inUse, string wanted)
    {
        if (!LibTorchFolders.SameLibTorch(inUse, LibTorchFolders.Within(wanted) ?? wanted))
            throw new LandmarkException(
                $"libtorch is loaded from {inUse} already, so {wanted} cannot be used in this process: "
                + "choose the folder before the first tensor is made.");
    }

    public static void CheckPlatform(bool linux, Architecture architecture, string runtime)
    {
        if (!linux || architecture != Architecture.X64)
            throw new LandmarkException(
                $"This is {runtime}, and libtorch's binding is built for linux-x64 alone: use a 64-bit x86 Linux, "
                + "a container or WSL 2.");
        if (runtime.Contains("musl", StringComparison.Ordinal))
            throw new LandmarkException(
                $"This is {runtime}, a Linux on musl, and libtorch is built for glibc: use a distribution such as "
                + "Debian, Ubuntu or Fedora.");
    }

    public static Version CheckVersion(ulong abi, string folder)
    {
        var version = new Version((int)(abi >> 56), (int)(abi >> 48 & 0xff), (int)(abi >> 40 & 0xff));
        var minor = new Version(version.Major, version.Minor);
        if (minor < Oldest || minor > Newest)
            throw new LandmarkException(
                $"The libtorch in {folder} is {(abi == 0 ? "older than 2.9" : $"version {version}")}, and {Supported} "
                + "is needed.");
        return version;
    }

    /// <summary>Turns the linker's words about a library into one sentence that says what to do.</summary>
    public static string Explain(string library, string error)
    {
        if (error.Contains("GLIBCXX_", StringComparison.Ordinal) || error.Contains("CXXABI_", StringComparison.Ordinal))
            return $"{library} needs a newer libstdc++ than this system's ({error}): use Ubuntu 24.04, Debian 13 or "
                + "later, or build the program with LandmarkSharp's build targets, which lift that need.";
        if (error.Contains("GLIBC_", StringComparison.Ordinal))
            return $"{library} needs a newer glibc than this system's ({error}): use Ubuntu 22.04, Debian 12 or later.";
        if (MissingLibrary(error) is { } missing)
            return $"{library} needs {missing}, which is neither beside it nor in the NVIDIA packages of its PyTorch "
                + "nor in the system's folders: install it or add its folder to LD_LIBRARY_PATH.";
        if (error.Contains("undefined symbol", StringComparison.Ordinal))
            return $"{library} does not fit the libraries it was loaded with ({error}): {Supported} is needed.";
        return $"{library} cannot be loaded: {error}.";
    }

    /// <summary>The library that the linker could not find, or null when its words say something else.</summary>
    public static string? MissingLibrary(string error) =>
        MissingFile().Match(error) is { Success: true } match ? match.Groups[1].Value : null;

    /// <summary>The folder to load from, checked to hold libtorch.</summary>
    /// <param name="directory">What the caller asked for.</param>
    /// <param name="variable">What the environment asks for, when the caller did not.</param>
    /// <param name="inUse">The folder of the libtorch that is in the process already.</param>
    public static string Choose(string? directory, string? variable, string? inUse)
    {
        var (wanted, source) = directory is not null ? (directory, "The folder")
            : !string.IsNullOrWhiteSpace(variable) ? (variable, $"The folder of {LibTorch.DirectoryVariable},")
            : (null, "");

        // Someone used TorchSharp before: that libtorch stays, and another must never join it.
        if (inUse is not null)
        {
            if (wanted is not null)
                RequireSame(inUse, wanted);
            return inUse;
        }

        if (wanted is null)
            return LibTorchFolders.BesideProgram() ?? throw new LandmarkException(
                $"No libtorch was found: {LibTorchFolders.CpuLibrary} is not beside the program "
                + $"({string.Join(", ", LibTorchFolders.OfProgram())}) and {LibTorch.DirectoryVariable} is not set; "
                + "add the package libtorch-cpu-linux-x64, or set the variable to the lib folder of "
                + $"{Supported}.");

        var folder = LibTorchFolders.Within(wanted) ?? throw new LandmarkException(
            $"{source} {wanted} holds no libtorch: {LibTorchFolders.CpuLibrary} is neither there nor in its lib; "
            + $"name the lib folder of {Supported}, which lies in the folder that "
            + "python3 -c 'import torch; print(torch.__path__[0])' prints.");

        // TorchSharp looks beside the program first. Two copies in one process would register every operator twice.
        var second = LibTorchFolders.OfProgram().FirstOrDefault(
            f => LibTorchFolders.HasLibTorch(f) && !LibTorchFolders.SameLibTorch(f, folder));
        return second is null ? folder : throw new LandmarkException(
            $"TorchSharp would load a second libtorch from {second} beside the one of {folder}: delete libtorch*.so "
            + "and libc10*.so there, or build the program without the package libtorch-cpu-linux-x64.");
    }

    /// <summary>Opens the libraries of a folder, needed ones first, and TorchSharp's own.</summary>
    public static LoadedLibTorch Preload(string folder)
    {
        var siblings = LibTorchFolders.WithLibraries(folder).ToArray();
        Require(folder, "libc10.so", siblings);
        var cpu = Require(folder, LibTorchFolders.CpuLibrary, siblings);
        var version = CheckVersion(AbiVersion(cpu), folder);

        // Where the CUDA libraries are missing, libtorch may still serve the CPU, unless libtorch.so insists on them.
        nint cuda = 0;
        string? cudaError = null;
        if (File.Exists(Path.Combine(folder, "libtorch_cuda.so")))
        {
            try
            {
                Require(folder, "libc10_cuda.so", siblings);
                cuda = Require(folder, "libtorch_cuda.so", siblings);
            }
            catch (LandmarkException e)
            {
                cudaError = e.Message.TrimEnd('.');
            }
        }

        Require(folder, "libtorch.so", siblings);
        var bindingFolder = LibTorchFolders.OfProgram().Append(folder)
            .FirstOrDefault(f => File.Exists(Path.Combine(f, Binding))) ?? throw new LandmarkException(
                $"{Binding}, TorchSharp's native part, is not beside the program "
                + $"({string.Join(", ", LibTorchFolders.OfProgram())}): build or publish it for linux-x64 again.");
        return new LoadedLibTorch(folder, version, cpu, cuda, Require(bindingFolder, Binding, siblings), cudaError);
    }

    private static nint Require(string folder, string name, IReadOnlyList<string> siblings)
    {
        var path = Path.Combine(folder, name);
        if (!File.Exists(path))
            throw new LandmarkException(
                $"{path} is missing beside {LibTorchFolders.CpuLibrary}: name the lib folder of a whole {Supported}.");
        var error = Open(path, siblings, out var handle);
        return error is null ? handle : throw new LandmarkException(Explain(path, error));
    }

    /// <summary>Opens a library, and those it needs that the linker does not find but a folder holds.</summary>
    /// <returns>Null, or what the linker said.</returns>
    public static string? Open(string path, IReadOnlyList<string> folders, out nint handle) =>
        OpenWithNeeds(path, folders, new HashSet<string>(StringComparer.Ordinal), out handle);

    // pip's libtorch finds its NVIDIA libraries by itself; where they were moved, the linker names the first that it
    // misses, and opening that by its full path satisfies the next try.
    private static string? OpenWithNeeds(
        string path, IReadOnlyList<string> folders, HashSet<string> tried, out nint handle)
    {
        while (true)
        {
            if (DynamicLinker.Open(path, out handle) is not { } error)
                return null;
            if (MissingLibrary(error) is not { } missing || !tried.Add(missing))
                return error;
            var found = folders.Select(folder => Path.Combine(folder, missing)).FirstOrDefault(File.Exists);
            if (found is null)
                return error;
            if (OpenWithNeeds(found, folders, tried, out _) is { } deeper)
                return deeper;
        }
    }

    // Versions before 2.9 do not have the function: they are too old in any case.
    private static unsafe ulong AbiVersion(nint cpu) =>
        NativeLibrary.TryGetExport(cpu, "aoti_torch_abi_version", out var function)
            ? ((delegate* unmanaged<ulong>)function)()
            : 0;

    private static void StartTorchSharp(string folder)
    {
        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
        }
        catch (Exception e) when (e is TypeInitializationException or NotSupportedException or DllNotFoundException)
        {
            throw new LandmarkException(
                $"TorchSharp does not start with the libtorch of {folder}: {(e.InnerException ?? e).Message}", e);
        }
    }

    [GeneratedRegex(@"^([^:\s]+): cannot open shared object file")]
    private static partial Regex MissingFile();
}
