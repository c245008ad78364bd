using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Tensors;

public sealed class SystemReportTests
{
    [Fact]
    public void TheReportDescribesThisProcess()
    {
        var report = SystemReport.Collect();
        Assert.Contains("linux-x64", report.OperatingSystem, StringComparison.Ordinal);
        Assert.NotEmpty(report.Processor);
        Assert.Equal(Environment.ProcessorCount, report.Processors);
        Assert.InRange(report.AvailableMemoryBytes, 1, long.MaxValue);
        Assert.InRange(report.MemoryBytes, 1L << 28, 1L << 50);
        Assert.Equal(System.Runtime.Intrinsics.X86.Avx2.IsSupported, report.InstructionSets.Contains("AVX2"));
        Assert.Equal(Environment.Version.ToString(), report.DotNet);
        Assert.Equal(LibTorch.Version, report.LibTorch);
        Assert.Equal(LibTorch.Location, report.LibTorchFolder);
        Assert.Null(report.LibTorchProblem);
        Assert.InRange(report.Threads, 1, 4096);
        Assert.Equal(LibTorch.CudaUnavailableReason, report.CudaProblem);
        Assert.Equal(CudaKernels.UnavailableReason(), report.KernelProblem);
        Assert.NotEqual(report.KernelProblem is null, report.KernelCompiler is null);
    }

    [Fact]
    public void TheDriverIsAskedOrItsAbsenceExplained()
    {
        if (CudaDriver.Problem() is { } problem)
        {
            Assert.Contains("NVIDIA driver", problem, StringComparison.Ordinal);
            Assert.Empty(CudaDriver.Devices());
            Assert.Null(CudaDriver.Version());
            return;
        }

        var device = CudaDriver.Devices()[0];
        Assert.NotEmpty(device.Name);
        Assert.InRange(device.MemoryBytes, 1L << 30, 1L << 50);
        Assert.InRange(device.ComputeCapability.Major, 3, 20);
        Assert.InRange(device.Multiprocessors, 1, 1024);
        Assert.InRange(CudaDriver.Version()!.Major, 11, 30);
    }

    [Fact]
    public void PeakMemoryOnlyGrows()
    {
        var before = ProcessMemory.PeakResidentBytes;
        Assert.InRange(before, 1L << 20, Environment.WorkingSet + (1L << 36));
        var garbage = new byte[64 << 20];
        Array.Fill(garbage, (byte)1);
        GC.KeepAlive(garbage);
        Assert.InRange(ProcessMemory.PeakResidentBytes, before, long.MaxValue);
    }
}
