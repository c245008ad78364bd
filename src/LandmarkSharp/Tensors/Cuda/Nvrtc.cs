using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>
/// NVIDIA's run-time compiler: CUDA C++ to the machine code of one architecture. It comes with every libtorch and PyTorch
/// that is built for CUDA, and needs neither toolkit nor headers.
/// </summary>
internal sealed unsafe partial class Nvrtc
{
    private const int OldestMajor = 12;   // the first to know sm_90a

    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> createProgram;
    private readonly delegate* unmanaged<nint*, int> destroyProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> compileProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> logSize;
    private readonly delegate* unmanaged<nint, byte*, int> getLog;
    private readonly delegate* unmanaged<nint, nuint*, int> cubinSize;
    private readonly delegate* unmanaged<nint, byte*, int> getCubin;
    private readonly delegate* unmanaged<int, byte*> errorString;

    private Nvrtc(string path, nint library)
    {
        nint Export(string name) => NativeLibrary.TryGetExport(library, name, out var address)
            ? address
            : throw new LandmarkException($"{path} is no NVRTC that can be used: it has no {name}.");
        createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Export("nvrtcCreateProgram");
        destroyProgram = (delegate* unmanaged<nint*, int>)Export("nvrtcDestroyProgram");
        compileProgram = (delegate* unmanaged<nint, int, byte**, int>)Export("nvrtcCompileProgram");
        logSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetProgramLogSize");
        getLog = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetProgramLog");
        cubinSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetCUBINSize");
        getCubin = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetCUBIN");
        errorString = (delegate* unmanaged<int, byte*>)Export("nvrtcGetErrorString");

        int major, minor;
        Check(((delegate* unmanaged<int*, int*, int>)Export("nvrtcVersion"))(&major, &minor), "asking its version");
        Version = new Version(major, minor);
    }

    /// <summary>Its version, that of the CUDA it belongs to.</summary>
    public Version Version { get; }

    /// <summary>Opens the NVRTC that belongs to a libtorch.</summary>
    /// <param name="folders">Where to look first, best first.</param>
    /// <param name="driver">The CUDA version of the driver: it runs no code of a later major version's compiler.</param>
    /// <exception cref="LandmarkException">None is there, or none that opens.</exception>
    public static Nvrtc Load(IReadOnlyList<string> folders, Version driver)
    {
        string? trouble = null;
        foreach (var path in Candidates(folders, driver))
        {
            // NVRTC opens this part of its own by name alone: where folders were moved, it is found if it is loaded already.
            if (Path.IsPathRooted(path))
            {
                foreach (var part in Directory.EnumerateFiles(Path.GetDirectoryName(path)!, "libnvrtc-builtins*.so.*"))
                    NativeLibrary.TryLoad(part, out _);
            }

            if (NativeLibrary.TryLoad(path, out var library))
                return new Nvrtc(path, library);
            if (Path.IsPathRooted(path))
                trouble ??= $"; {path} is there but does not open";
        }

        throw new LandmarkException(
            $"NVRTC, CUDA's run-time compiler, was not found for a driver of CUDA {driver}: libnvrtc.so.{driver.Major} is "
            + $"neither in {string.Join(", ", folders)} nor in the system's folders{trouble}; install the package "
            + $"{(driver.Major > OldestMajor ? "nvidia-cuda-nvrtc" : "nvidia-cuda-nvrtc-cu12")} beside PyTorch, or add its "
            + "folder to LD_LIBRARY_PATH.");
    }

    /// <summary>What to try to open: files that are there, then names for the dynamic linker's own search.</summary>
    public static IEnumerable<string> Candidates(IReadOnlyList<string> folders, Version driver)
    {
        foreach (var folder in folders.Where(Directory.Exists))
        {
            var found = Directory.EnumerateFiles(folder, "libnvrtc*.so.*")
                .Select(path => (Path: path, Name: LibraryFile().Match(Path.GetFileName(path))))
                .Where(file => file.Name.Success)
                .Select(file => (file.Path, Major: int.Parse(file.Name.Groups[1].Value)))
                .Where(file => file.Major >= OldestMajor && file.Major <= driver.Major);
            foreach (var file in found.OrderByDescending(file => file.Major).ThenBy(file => file.Path, StringComparer.Ordinal))
                yield return file.Path;
        }

        for (var major = driver.Major; major >= OldestMajor; major--)
            yield return $"libnvrtc.so.{major}";
    }

    /// <summary>The name that the compiler gives a card: Hopper's own instructions exist under the name with an a alone.</summary>
    public static string Architecture(Version capability) =>
        capability == new Version(9, 0) ? "sm_90a" : $"sm_{capability.Major}{capability.Minor}";

    /// <summary>What a source is compiled with.</summary>
    public static IReadOnlyList<string> Options(KernelSource source, string architecture) =>
        [$"--gpu-architecture={architecture}", "--std=c++17", "--device-as-default-execution-space",    // lambdas are the device's too
            .. source.Defines.Select(d => $"--define-macro={d}")];

    /// <summary>Machine code for an architecture.</summary>
    /// <exception cref="LandmarkException">The source does not compile; the message has the compiler's first error.</exception>
    public byte[] Compile(KernelSource source, string architecture)
    {
        using var strings = new NativeStrings();
        var headers = KernelSource.Headers;
        var texts = strings.Add(headers.Select(h => h.Text));
        var names = strings.Add(headers.Select(h => h.Name));
        var options = Options(source, architecture);

        nint program;
        Check(
            createProgram(&program, strings.Add(source.Text), strings.Add(source.Name), headers.Count, texts, names),
            $"reading {source.Name}");
        try
        {
            var code = compileProgram(program, options.Count, strings.Add(options));
            if (code != 0)
                throw new LandmarkException(
                    $"The kernel {source.Name} does not compile for {architecture} with NVRTC {Version}: "
                    + $"{FirstError(Log(program)) ?? ErrorName(code)}.");
            nuint size;
            Check(cubinSize(program, &size), $"compiling {source.Name} for {architecture}");
            var cubin = new byte[size];
            fixed (byte* bytes = cubin)
                Check(getCubin(program, bytes), $"compiling {source.Name} for {architecture}");
            return cubin;
        }
        finally
        {
            _ = destroyProgram(&program);
        }
    }

    /// <summary>The line of a compiler's log that says what is wrong, without a full stop; null when it says nothing.</summary>
    public static string? FirstError(string log)
    {
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var line = lines.FirstOrDefault(l => l.Contains("error", StringComparison.OrdinalIgnoreCase)) ?? lines.FirstOrDefault();
        return line?.TrimEnd('.');
    }

    private string Log(nint program)
    {
        nuint size;
        if (logSize(program, &size) != 0 || size == 0)
            return "";
        var log = new byte[size];
        fixed (byte* bytes = log)
            return getLog(program, bytes) == 0 ? Encoding.UTF8.GetString(log).TrimEnd('\0') : "";
    }

    private void Check(int code, string doing)
    {
        if (code != 0)
            throw new LandmarkException($"NVRTC failed at {doing}: {ErrorName(code)}.");
    }

    private string? ErrorName(int code) => Marshal.PtrToStringUTF8((nint)errorString(code));

    // Not libnvrtc-builtins.so.13.0, its own part, nor libnvrtc.alt.so.13; libtorch's archive has a hash in the name.
    [GeneratedRegex(@"^libnvrtc(?:-[0-9a-f]+)?\.so\.(\d+)(?:\.\d+)*$")]
    private static partial Regex LibraryFile();
}
