using System.Collections.Concurrent;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>Machine code loaded on a device; it stays there as long as the process lives.</summary>
internal sealed unsafe class CudaModule
{
    private readonly ConcurrentDictionary<string, CudaKernel> kernels = new(StringComparer.Ordinal);
    private readonly CudaContext context;
    private readonly string name;
    private readonly nint handle;

    /// <summary>Loads machine code.</summary>
    /// <param name="context">The device's context.</param>
    /// <param name="name">Its source's name, for messages.</param>
    /// <param name="code">A cubin for the device's architecture.</param>
    /// <exception cref="LandmarkException">The driver refuses it.</exception>
    public CudaModule(CudaContext context, string name, ReadOnlySpan<byte> code)
    {
        (this.context, this.name) = (context, name);
        using var entered = context.Enter();
        fixed (byte* image = code)
            CudaApi.Check(CudaApi.cuModuleLoadData(out handle, image), $"loading {name} on cuda:{context.Device}");
    }

    /// <summary>The kernel of a name: an <c>extern "C" __global__</c> function of the source.</summary>
    /// <exception cref="LandmarkException">There is none of that name.</exception>
    public CudaKernel Kernel(string kernel) => kernels.GetOrAdd(kernel, static (name, module) => module.Find(name), this);

    private CudaKernel Find(string kernel)
    {
        using var entered = context.Enter();
        CudaApi.Check(CudaApi.cuModuleGetFunction(out var function, handle, kernel), $"looking for {kernel} in {name}");
        return new CudaKernel(kernel, context, function);
    }
}
