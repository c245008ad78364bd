using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>A source that was made ready to run.</summary>
/// <param name="Source">Its file's name.</param>
/// <param name="IsCompiled">Whether it was compiled; else it came from the cache.</param>
/// <param name="Time">How long that took.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct KernelPreparation(string Source, bool IsCompiled, TimeSpan Time);

/// <summary>
/// Our own CUDA kernels: whether this process can have them, and the modules that were compiled. A source is compiled for
/// a device when it is first asked for, once in a process and, through the <see cref="KernelCache"/>, once on a machine.
/// </summary>
public static class CudaKernels
{
    // Loading it proves that compiler, cache and driver work together.
    private const string Probe = "extern \"C\" __global__ void probe(int* out) { *out = 42; }";

    private static readonly Version OldestCapability = new(8, 0);   // the first with bfloat16 and asynchronous copies
    private static readonly ConcurrentDictionary<int, Lazy<string?>> Reasons = new();
    private static readonly ConcurrentDictionary<(string, int), Lazy<CudaModule>> Modules = new();
    private static readonly ConcurrentQueue<(int Device, KernelPreparation Preparation)> Preparations = new();
    private static readonly KernelCache Cache = new(KernelCache.DefaultFolder(Environment.GetEnvironmentVariable));

    private static readonly Lazy<Nvrtc> Loaded = new(
        () => Nvrtc.Load([.. LibTorchFolders.WithLibraries(LibTorch.Location)], CudaDriver.Version()!));

    /// <summary>Why a device cannot run our own kernels, as a clause without a full stop; null when it can.</summary>
    /// <param name="device">The device's number.</param>
    /// <exception cref="LandmarkException">No libtorch can be loaded.</exception>
    /// <remarks>The first call for a device starts it, finds the compiler and has it compile a line.</remarks>
    public static string? UnavailableReason(int device = 0) =>
        Reasons.GetOrAdd(device, d => new(() => WhyNot(d))).Value;

    /// <summary>What compiles for a device that can run our own kernels, such as NVRTC 13.0 for sm_90a; null for others.</summary>
    /// <param name="device">The device's number.</param>
    public static string? Compiler(int device = 0) =>
        UnavailableReason(device) is null ? $"NVRTC {Loaded.Value.Version} for {Architecture(device)}" : null;

    /// <summary>What this process has made ready for a device so far, in order.</summary>
    /// <param name="device">The device's number.</param>
    public static IReadOnlyList<KernelPreparation> Prepared(int device = 0) =>
        [.. Preparations.Where(p => p.Device == device).Select(p => p.Preparation)];

    /// <summary>A source's module on a device.</summary>
    /// <exception cref="LandmarkException">The device cannot run our own kernels, or the source does not compile.</exception>
    internal static CudaModule Module(KernelSource source, int device)
    {
        if (UnavailableReason(device) is { } reason)
            throw new LandmarkException($"Our own CUDA kernels cannot run on cuda:{device}: {reason}.");
        return Modules.GetOrAdd(
            (string.Join(' ', source.Defines.Prepend(source.Name)), device), _ => new(() => Build(source, device))).Value;
    }

    /// <summary>Why a device of such a capability is not enough, as a clause; null when it is.</summary>
    internal static string? TooOld(CudaDevice device) =>
        device.ComputeCapability >= OldestCapability
            ? null
            : $"the {device.Name} has compute capability {device.ComputeCapability}, and {OldestCapability} or newer is needed";

    private static string? WhyNot(int device)
    {
        if (LibTorch.CudaUnavailableReason is { } reason)
            return reason;
        if (Find(device) is not { } found)
            return $"the driver shows no device cuda:{device}";
        if (TooOld(found) is { } old)
            return old;
        try
        {
            Build(new KernelSource("probe.cu", Probe), device);
            return null;
        }
        catch (Exception e) when (e is LandmarkException or DllNotFoundException or EntryPointNotFoundException
            or IOException or UnauthorizedAccessException)
        {
            return e.Message.TrimEnd('.');
        }
    }

    private static CudaModule Build(KernelSource source, int device)
    {
        var (compiler, architecture) = (Loaded.Value, Architecture(device));
        var (start, compiled) = (Stopwatch.GetTimestamp(), false);
        var code = Cache.Get(KernelCache.Key(source, architecture, compiler.Version), () =>
        {
            compiled = true;
            return compiler.Compile(source, architecture);
        });
        var module = new CudaModule(CudaContext.Of(device), source.Name, code);
        Preparations.Enqueue((device, new KernelPreparation(source.Name, compiled, Stopwatch.GetElapsedTime(start))));
        return module;
    }

    private static string Architecture(int device) => Nvrtc.Architecture(Find(device)!.ComputeCapability);

    private static CudaDevice? Find(int device) => CudaDriver.Devices().FirstOrDefault(d => d.Index == device);
}
