using System.Runtime.InteropServices;
using System.Text;

namespace LandmarkSharp.Tensors;

/// <summary>What NVIDIA's driver says of its devices; it works, and says so, where there is no driver.</summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = "libcuda.so.1";
    private const int NoDevice = 100;                 // CUDA_ERROR_NO_DEVICE
    private const int ComputeCapabilityMajor = 75;
    private const int ComputeCapabilityMinor = 76;
    private const int MultiprocessorCount = 16;

    private static readonly Lazy<string?> Trouble = new(Start);
    private static readonly Lazy<IReadOnlyList<CudaDevice>> Shown = new(List);

    /// <summary>Why no device can be used, as a clause without a full stop; null when one can.</summary>
    public static string? Problem() => Trouble.Value;

    /// <summary>The devices that the driver shows to this process; none when there is a problem.</summary>
    public static IReadOnlyList<CudaDevice> Devices() => Shown.Value;

    /// <summary>The CUDA version of the driver, such as 13.0; null without a driver.</summary>
    public static Version? Version() =>
        Problem() is null && cuDriverGetVersion(out var version) == 0
            ? new Version(version / 1000, version % 1000 / 10)
            : null;

    private static string? Start()
    {
        if (!NativeLibrary.TryLoad(Library, out _))
            return $"there is no NVIDIA driver ({Library} was not found)";
        var code = cuInit(0);
        if (code is not (0 or NoDevice))
            return $"the NVIDIA driver does not start ({Name(code)}); see what nvidia-smi says";
        return code == 0 && cuDeviceGetCount(out var count) == 0 && count > 0
            ? null
            : "the NVIDIA driver shows no device to this process (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
    }

    private static IReadOnlyList<CudaDevice> List()
    {
        if (Problem() is not null || cuDeviceGetCount(out var count) != 0)
            return [];
        return [.. Enumerable.Range(0, count).Select(Describe).OfType<CudaDevice>()];
    }

    private static CudaDevice? Describe(int index)
    {
        const int NameLength = 256;
        var name = stackalloc byte[NameLength];
        if (cuDeviceGet(out var device, index) != 0
            || cuDeviceGetName(name, NameLength, device) != 0
            || cuDeviceTotalMem(out var bytes, device) != 0
            || cuDeviceGetAttribute(out var major, ComputeCapabilityMajor, device) != 0
            || cuDeviceGetAttribute(out var minor, ComputeCapabilityMinor, device) != 0
            || cuDeviceGetAttribute(out var processors, MultiprocessorCount, device) != 0)
            return null;
        return new CudaDevice(
            index, Marshal.PtrToStringUTF8((nint)name) ?? "", (long)bytes, new Version(major, minor), processors);
    }

    private static string Name(int code) =>
        cuGetErrorName(code, out var text) == 0 ? $"{Marshal.PtrToStringUTF8(text)}, code {code}" : $"code {code}";

    [LibraryImport(Library)]
    private static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    private static partial int cuDriverGetVersion(out int version);

    [LibraryImport(Library)]
    private static partial int cuDeviceGetCount(out int count);

    [LibraryImport(Library)]
    private static partial int cuDeviceGet(out int device, int ordinal);

    [LibraryImport(Library)]
    private static partial int cuDeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceTotalMem_v2")]
    private static partial int cuDeviceTotalMem(out nuint bytes, int device);

    [LibraryImport(Library)]
    private static partial int cuDeviceGetAttribute(out int value, int attribute, int device);

    [LibraryImport(Library)]
    private static partial int cuGetErrorName(int error, out nint name);
}
