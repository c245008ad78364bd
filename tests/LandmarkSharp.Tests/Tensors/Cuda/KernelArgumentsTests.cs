using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors.Cuda;

public sealed unsafe class KernelArgumentsTests
{
    [Fact]
    public void EachArgumentIsWhereItsAddressSays()
    {
        var map = default(TensorMap);
        for (var i = 0; i < TensorMap.Bytes / sizeof(ulong); i++) map[i] = (ulong)i;
        var arguments = default(KernelArguments);
        arguments.Add(7);
        arguments.Add(1L << 40);
        arguments.Add(map);
        arguments.Add(0.5f);
        arguments.Add((Tensor?)null);
        arguments.Add(-3);

        Assert.Equal(6, arguments.Count);
        Span<nint> addresses = stackalloc nint[arguments.Count];
        fixed (byte* start = &arguments.First())
        {
            arguments.Addresses(start, addresses);
            Assert.Equal(7, *(int*)addresses[0]);
            Assert.Equal(1L << 40, *(long*)addresses[1]);
            Assert.Equal(Enumerable.Range(0, 16).Select(i => (ulong)i), new Span<ulong>((void*)addresses[2], 16).ToArray());
            Assert.Equal(0.5f, *(float*)addresses[3]);
            Assert.Equal(0, *(nint*)addresses[4]);
            Assert.Equal(-3, *(int*)addresses[5]);
            foreach (var address in addresses)
                Assert.Equal(0, (address - (nint)start) % sizeof(long));
        }
    }

    [Fact]
    public void PackingMakesNoGarbage()
    {
        Pack();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) Pack();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        static void Pack()
        {
            var arguments = default(KernelArguments);
            for (var i = 0; i < 30; i++) arguments.Add((long)i);
            var addresses = stackalloc nint[arguments.Count];
            fixed (byte* start = &arguments.First())
                arguments.Addresses(start, new Span<nint>(addresses, arguments.Count));
        }
    }

    [Fact]
    public void ATensorElsewhereIsRefused()
    {
        LibTorch.Load();
        using var tensor = zeros(3);
        var e = Assert.Throws<LandmarkException>(() =>
        {
            var arguments = default(KernelArguments);
            arguments.Add(tensor);
        });
        Assert.Equal("A CUDA kernel was given a tensor on cpu: move it to the device first.", e.Message);
    }

    [Fact]
    public void TheDriversStructuresHaveItsSizes()
    {
        Assert.Equal(56, Marshal.SizeOf<CudaApi.LaunchConfig>());
        Assert.Equal(72, sizeof(CudaApi.LaunchAttribute));
    }
}
