using System.Runtime.InteropServices;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;

namespace LandmarkSharp.Tensors;

/// <summary>How much memory this process takes.</summary>
public static partial class ProcessMemory
{
    /// <summary>The most memory the process has had resident so far, in bytes (the kernel's VmHWM).</summary>
    public static long PeakResidentBytes => ProcFile.KilobytesOf("/proc/self/status", "VmHWM:") ?? Environment.WorkingSet;

    /// <summary>The memory that the process has resident now, in bytes.</summary>
    public static long ResidentBytes => ProcFile.KilobytesOf("/proc/self/status", "VmRSS:") ?? Environment.WorkingSet;

    /// <summary>The part of it that are pages of files: libraries, mapped weights, blocks of memory files.</summary>
    public static long ResidentFileBytes => ProcFile.KilobytesOf("/proc/self/status", "RssFile:") ?? 0;

    /// <summary>Bytes of a card's memory that are taken, by whatever program; null for a device that is no card.</summary>
    public static long? CardBytes(torch.Device device) =>
        device.type == DeviceType.CUDA ? CudaContext.Of(Math.Max(0, device.index)).UsedBytes : null;

    /// <summary>The memory in bytes that the process can still take: what the system can give, within its container's limit.</summary>
    public static long AvailableBytes =>
        Math.Min(ProcFile.KilobytesOf("/proc/meminfo", "MemAvailable:") ?? long.MaxValue, LeftInContainer() ?? long.MaxValue);

    /// <summary>Gives back to the system what tensors have freed: the C library keeps up to some hundred megabytes of it for the next ones.</summary>
    internal static void GiveBackFreed() => _ = malloc_trim(0);

    [LibraryImport("libc.so.6")]
    private static partial int malloc_trim(nuint pad);

    // What is held of files is given up when it is needed. Without a limit, limit reads "max".
    private static long? LeftInContainer()
    {
        const string group = "/sys/fs/cgroup/memory.";
        return long.TryParse(ProcFile.TextOf(group + "max", ""), out var most)
            && long.TryParse(ProcFile.TextOf(group + "current", ""), out var used)
            ? most - used + (long.TryParse(ProcFile.TextOf(group + "stat", "inactive_file"), out var files) ? files : 0)
            : null;
    }
}
