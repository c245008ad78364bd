using System.Runtime.InteropServices;

namespace LandmarkSharp.Cli;

/// <summary>The end of a process that was asked to stop.</summary>
internal static partial class ProcessEnd
{
    /// <summary>
    /// Ends the process as it is. Work that was not waited for still runs in libtorch, and would crash when its libraries are
    /// taken down under it.
    /// </summary>
    public static void Now(int code)
    {
        Console.Out.Flush();
        if (!OperatingSystem.IsWindows()) Exit(code);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);
}
