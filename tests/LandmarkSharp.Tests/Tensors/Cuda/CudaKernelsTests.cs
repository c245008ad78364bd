using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors.Cuda;

public sealed class CudaKernelsTests
{
    private static readonly KernelSource Scale = new("scale.cu", """
        extern "C" __global__ void scale(float* y, const float* x, float factor, long long n) {
            extern __shared__ float shared[];
            long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
            shared[threadIdx.x] = i < n ? x[i] : 0;
            __syncthreads();
            if (i < n) y[i] = shared[threadIdx.x] * factor;
        }
        """);

    public CudaKernelsTests() => LibTorch.Load();

    [Fact]
    public void TheirAbsenceIsExplained()
    {
        if (CudaKernels.UnavailableReason() is not { } reason)
        {
            Assert.StartsWith("NVRTC ", CudaKernels.Compiler(), StringComparison.Ordinal);
            return;
        }

        Assert.False(reason.EndsWith('.'));
        Assert.Null(CudaKernels.Compiler());
        Assert.Equal(
            $"Our own CUDA kernels cannot run on cuda:0: {reason}.",
            Assert.Throws<LandmarkException>(() => CudaKernels.Module(Scale, 0)).Message);
        if (!LibTorch.CudaAvailable) Assert.Equal(LibTorch.CudaUnavailableReason, reason);
    }

    [Fact]
    public void AnOldCardIsNamed()
    {
        CudaDevice Card(int major, int minor) => new(0, "Tesla T4", 1L << 34, new Version(major, minor), 40);
        Assert.Equal("the Tesla T4 has compute capability 7.5, and 8.0 or newer is needed", CudaKernels.TooOld(Card(7, 5)));
        Assert.Null(CudaKernels.TooOld(Card(8, 0)));
        Assert.Null(CudaKernels.TooOld(Card(12, 0)));
    }

    [Fact]
    public void AKernelRunsAmongLibtorchsOperators()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var kernel = CudaKernels.Module(Scale, 0).Kernel("scale");
        for (var n = 1; n < 3000; n += 500)
        {
            var x = rand([n], device: new Device(DeviceType.CUDA, 0));
            var y = empty_like(x);
            // Clusters are Hopper's; more than 48 KB of shared memory must be asked for.
            foreach (var cluster in HasClusters() ? (Dim3?[])[null, new Dim3(2)] : [null])
            {
                foreach (var bytes in (int[])[1024, 64 * 1024])
                {
                    Run(kernel, y, x, n, new LaunchShape(new Dim3((uint)(n + 511) / 512 * 2), new Dim3(256), bytes, cluster));
                    Assert.Equal(0, (y + 1 - (x * 3 + 1)).abs().max().cpu().item<float>());
                }
            }
        }

        var usage = kernel.Usage();
        Assert.InRange(usage.Registers, 1, 255);
        Assert.Equal((0, 0, 1024), (usage.LocalBytes, usage.SharedBytes, usage.MaxThreads));
        Assert.InRange(kernel.BlocksPerMultiprocessor(256, 1024), 1, 32);
        Assert.InRange(kernel.BlocksPerMultiprocessor(256, 90 * 1024), 1, 2);
    }

    [Fact]
    public void EveryThreadMayLaunch()
    {
        Needs.Kernels();
        var kernel = CudaKernels.Module(Scale, 0).Kernel("scale");
        Parallel.For(0, 32, i =>
        {
            using var scope = NewDisposeScope();
            var x = full([1000], i, device: new Device(DeviceType.CUDA, 0), dtype: ScalarType.Float32);
            var y = empty_like(x);
            Run(kernel, y, x, 1000, new LaunchShape(new Dim3(4), new Dim3(256), 1024));
            Assert.Equal(i * 3000f, y.sum().cpu().item<float>());
        });
    }

    [Fact]
    public void WhatGoesWrongIsOneSentence()
    {
        Needs.Kernels();
        var e = Assert.Throws<LandmarkException>(() => CudaKernels.Module(new KernelSource("wrong.cu", "__global__ void f() { x; }"), 0));
        Assert.Contains("The kernel wrong.cu does not compile for sm_", e.Message, StringComparison.Ordinal);
        Assert.Contains("\"x\" is undefined", e.Message, StringComparison.Ordinal);
        var module = CudaKernels.Module(Scale, 0);
        e = Assert.Throws<LandmarkException>(() => module.Kernel("missing"));
        Assert.StartsWith("CUDA failed at looking for missing in scale.cu: ", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() =>
        {
            var none = default(KernelArguments);
            module.Kernel("scale").Launch(new LaunchShape(new Dim3(1), new Dim3(4096)), ref none);
        });
        Assert.StartsWith("CUDA failed at launching the kernel scale: ", e.Message, StringComparison.Ordinal);
    }

    private static void Run(CudaKernel kernel, Tensor y, Tensor x, long n, LaunchShape shape)
    {
        var arguments = default(KernelArguments);
        arguments.Add(y);
        arguments.Add(x);
        arguments.Add(3f);
        arguments.Add(n);
        kernel.Launch(shape, ref arguments);
    }

    private static bool HasClusters() => CudaDriver.Devices()[0].ComputeCapability.Major >= 9;
}
