using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;

namespace LandmarkSharp.Tensors;

/// <summary>The machine and the libraries as this process sees them: what decides which fast paths there are.</summary>
public sealed record SystemReport
{
    /// <summary>The operating system.</summary>
    public required string OperatingSystem { get; init; }

    /// <summary>The processor's model.</summary>
    public required string Processor { get; init; }

    /// <summary>How many processors the process may use.</summary>
    public required int Processors { get; init; }

    /// <summary>The machine's memory in bytes, or the container's limit where that is lower.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The memory in bytes that programs can still take.</summary>
    public required long AvailableMemoryBytes { get; init; }

    /// <summary>The instruction sets, of those with a fast path, that .NET uses here.</summary>
    public required IReadOnlyList<string> InstructionSets { get; init; }

    /// <summary>.NET's version.</summary>
    public required string DotNet { get; init; }

    /// <summary>libtorch's version; null when it did not load.</summary>
    public string? LibTorch { get; init; }

    /// <summary>The folder libtorch was loaded from; null when it did not load.</summary>
    public string? LibTorchFolder { get; init; }

    /// <summary>Why libtorch did not load; null when it did.</summary>
    public string? LibTorchProblem { get; init; }

    /// <summary>How many threads libtorch's operators use; 0 when it did not load.</summary>
    public int Threads { get; init; }

    /// <summary>The CUDA version of NVIDIA's driver, such as 13.0; null without one.</summary>
    public Version? CudaDriver { get; init; }

    /// <summary>The CUDA devices that the driver shows, whether or not libtorch can use them.</summary>
    public required IReadOnlyList<CudaDevice> CudaDevices { get; init; }

    /// <summary>Why tensors cannot live on a CUDA device; null when they can.</summary>
    public string? CudaProblem { get; init; }

    /// <summary>What compiles our own CUDA kernels for cuda:0, such as NVRTC 13.0 for sm_90a; null when it cannot run them.</summary>
    public string? KernelCompiler { get; init; }

    /// <summary>Why cuda:0 cannot run our own CUDA kernels; null when it can.</summary>
    public string? KernelProblem { get; init; }

    /// <summary>Looks at the machine. It never fails: what is missing is said in the report.</summary>
    public static SystemReport Collect()
    {
        var report = new SystemReport
        {
            OperatingSystem = $"{RuntimeInformation.OSDescription}, kernel {Environment.OSVersion.Version}, "
                + RuntimeInformation.RuntimeIdentifier,
            Processor = ProcFile.TextOf("/proc/cpuinfo", "model name")
                ?? RuntimeInformation.ProcessArchitecture.ToString(),
            Processors = Environment.ProcessorCount,
            MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            AvailableMemoryBytes = ProcFile.KilobytesOf("/proc/meminfo", "MemAvailable:") ?? 0,
            InstructionSets = Instructions(),
            DotNet = Environment.Version.ToString(),
            CudaDriver = Tensors.CudaDriver.Version(),
            CudaDevices = Tensors.CudaDriver.Devices(),
        };
        try
        {
            Tensors.LibTorch.Load();
            return report with
            {
                LibTorch = Tensors.LibTorch.Version,
                LibTorchFolder = Tensors.LibTorch.Location,
                Threads = torch.get_num_threads(),
                CudaProblem = Tensors.LibTorch.CudaUnavailableReason,
                KernelCompiler = CudaKernels.Compiler(),
                KernelProblem = CudaKernels.UnavailableReason(),
            };
        }
        catch (LandmarkException e)
        {
            const string notLoaded = "libtorch is not loaded";
            return report with { LibTorchProblem = e.Message, CudaProblem = notLoaded, KernelProblem = notLoaded };
        }
    }

    private static List<string> Instructions()
    {
        (string Name, bool Supported)[] all =
        [
            ("SSE4.2", Sse42.IsSupported),
            ("AVX", Avx.IsSupported),
            ("AVX2", Avx2.IsSupported),
            ("FMA", Fma.IsSupported),
            ("AVX-512F", Avx512F.IsSupported),
            ("AVX-512BW", Avx512BW.IsSupported),
            ("AVX-512DQ", Avx512DQ.IsSupported),
            ("AVX-512VBMI", Avx512Vbmi.IsSupported),
            ("AVX-VNNI", AvxVnni.IsSupported),
            ("512-bit vectors", Vector512.IsHardwareAccelerated),
        ];
        return [.. all.Where(set => set.Supported).Select(set => set.Name)];
    }
}
