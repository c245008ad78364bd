using TorchSharp;

namespace LandmarkSharp.Tensors;

/// <summary>
/// The libtorch that this process uses: found and loaded once, from beside the program (CPU, by NuGet) or from the
/// <c>lib</c> folder of an installed PyTorch (CPU or CUDA).
/// </summary>
/// <remarks>
/// Every entry point of the library calls <see cref="Load"/> before it touches a tensor. A program that uses TorchSharp
/// on its own before that should call it first too: a folder can be chosen only while no libtorch is loaded.
/// </remarks>
public static class LibTorch
{
    /// <summary>The environment variable that names the folder to load libtorch from.</summary>
    public const string DirectoryVariable = "LANDMARK_LIBTORCH";

    private const int MostThreads = 1024;

    private static readonly Lock Gate = new();
    private static volatile LoadedLibTorch? loaded;

    /// <summary>The version of the loaded libtorch, such as <c>2.10.0</c>, as the library itself says it.</summary>
    public static string Version => Current.Version.ToString(3);

    /// <summary>The folder libtorch was loaded from.</summary>
    public static string Location => Current.Directory;

    /// <summary>Whether tensors can live on a CUDA device in this process.</summary>
    public static bool CudaAvailable => CudaUnavailableReason is null;

    /// <summary>Why there is no CUDA device, as a clause without a full stop; null when there is one.</summary>
    public static string? CudaUnavailableReason => Current.CudaUnavailableReason;

    private static LoadedLibTorch Current
    {
        get
        {
            Load();
            return loaded!;
        }
    }

    /// <summary>Loads libtorch unless it is loaded already; cheap in that case.</summary>
    /// <param name="directory">
    /// The folder that holds <c>libtorch_cpu.so</c>, or the folder whose <c>lib</c> does: PyTorch 2.10 to 2.12, of pip
    /// or of the public libtorch archive. Null takes <see cref="DirectoryVariable"/>, and without that the libtorch
    /// beside the program.
    /// </param>
    /// <exception cref="LandmarkException">
    /// The platform is not supported, no usable libtorch is there, or another one is loaded already.
    /// </exception>
    public static void Load(string? directory = null)
    {
        if (directory is null && loaded is not null)
            return;

        lock (Gate)
        {
            if (loaded is null)
                loaded = LibTorchLoader.Load(directory);
            else if (directory is not null)
                LibTorchLoader.RequireSame(loaded.Directory, directory);
        }
    }

    /// <summary>The device of a name: <c>cpu</c>, <c>cuda</c>, <c>cuda:N</c>, or <c>auto</c> for CUDA where there is
    /// one and the CPU elsewhere.</summary>
    /// <exception cref="LandmarkException">The name is not a device's, or the device is not there.</exception>
    public static torch.Device Device(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        Load();
        switch (name)
        {
            case "cpu":
                return torch.CPU;
            case "auto":
                return CudaAvailable ? new torch.Device(DeviceType.CUDA, 0) : torch.CPU;
            case "cuda":
                return Cuda(name, 0);
            default:
                if (name.StartsWith("cuda:", StringComparison.Ordinal)
                    && int.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, null, out var index))
                    return Cuda(name, index);
                throw new LandmarkException($"There is no device called '{name}'; use auto, cpu, cuda or cuda:N.");
        }
    }

    /// <summary>Sets how many threads libtorch's operators use.</summary>
    /// <param name="n">The number of threads, from 1 to 1,024: beyond, starting them takes minutes.</param>
    public static void SetThreads(int n)
    {
        if (n is < 1 or > MostThreads)
            throw new LandmarkException($"The number of threads is {n}; it must be at least 1 and at most {MostThreads}.");
        Load();
        torch.set_num_threads(n);
    }

    private static torch.Device Cuda(string name, int index)
    {
        if (CudaUnavailableReason is { } reason)
            throw new LandmarkException($"The device '{name}' is not there: {reason}.");
        var count = torch.cuda.device_count();
        if (index >= count)
            throw new LandmarkException(
                $"The device '{name}' is not there: libtorch sees {count} CUDA device(s), cuda:0 to cuda:{count - 1}.");
        return new torch.Device(DeviceType.CUDA, index);
    }
}
