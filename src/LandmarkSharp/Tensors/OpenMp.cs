using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors;

/// <summary>
/// How libtorch's threads wait for work. By default they spin for milliseconds: on a machine that runs anything else, they
/// hold the processors that others, and their own main thread, wait for. A short spin bridges the gap between two operators
/// and costs nothing elsewhere (docs/inference-cpu.md).
/// </summary>
internal static partial class OpenMp
{
    private const string Spins = "GOMP_SPINCOUNT";

    /// <summary>Sets the short spin, unless the user has said how to wait. It counts only before libtorch is loaded.</summary>
    public static void SpinBriefly()
    {
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null && Environment.GetEnvironmentVariable(Spins) is null)
            _ = setenv(Spins, "2000", 0);   // .NET's own variables do not reach native code
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
