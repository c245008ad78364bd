namespace LandmarkSharp.Tensors;

/// <summary>How much memory this process takes.</summary>
public static class ProcessMemory
{
    /// <summary>The most memory the process has had resident so far, in bytes (the kernel's VmHWM).</summary>
    public static long PeakResidentBytes => Status("VmHWM:");

    /// <summary>The memory the process has resident now, in bytes (the kernel's VmRSS), with mapped files.</summary>
    public static long ResidentBytes => Status("VmRSS:");

    private static long Status(string field) =>
        ProcFile.KilobytesOf("/proc/self/status", field) ?? Environment.WorkingSet;
}
