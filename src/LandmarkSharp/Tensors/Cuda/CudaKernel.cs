namespace LandmarkSharp.Tensors.Cuda;

/// <summary>What a kernel takes of a multiprocessor.</summary>
/// <param name="Registers">Registers of a thread.</param>
/// <param name="LocalBytes">Bytes of a thread in local memory: registers that were spilled, mostly.</param>
/// <param name="SharedBytes">Static shared memory of a block in bytes.</param>
/// <param name="MaxThreads">The most threads that a block of it can have.</param>
internal sealed record KernelUsage(int Registers, int LocalBytes, int SharedBytes, int MaxThreads);

/// <summary>A kernel of a loaded module. Any thread may launch it.</summary>
internal sealed unsafe class CudaKernel
{
    private const int MaxThreadsPerBlock = 0;
    private const int StaticSharedBytes = 1;
    private const int LocalSizeBytes = 3;
    private const int NumRegs = 4;
    private const int MaxDynamicSharedBytes = 8;

    private readonly Lock gate = new();
    private readonly CudaContext context;
    private readonly nint function;
    private volatile int allowedSharedBytes;

    internal CudaKernel(string name, CudaContext context, nint function)
    {
        Name = name;
        this.context = context;
        this.function = function;
    }

    /// <summary>Its name in the source.</summary>
    public string Name { get; }

    /// <summary>What the compiler made of it.</summary>
    public KernelUsage Usage()
    {
        using var entered = context.Enter();
        return new KernelUsage(Get(NumRegs), Get(LocalSizeBytes), Get(StaticSharedBytes), Get(MaxThreadsPerBlock));
    }

    /// <summary>How many blocks of a size fit a multiprocessor at once.</summary>
    /// <param name="threads">Threads of a block.</param>
    /// <param name="sharedBytes">Its dynamic shared memory in bytes.</param>
    public int BlocksPerMultiprocessor(int threads, int sharedBytes)
    {
        using var entered = context.Enter();
        Allow(sharedBytes);
        CudaApi.Check(
            CudaApi.cuOccupancyMaxActiveBlocksPerMultiprocessor(out var blocks, function, threads, (nuint)sharedBytes),
            $"asking how often the kernel {Name} fits");
        return blocks;
    }

    /// <summary>
    /// Queues the kernel on the stream that libtorch's operators of this thread use, so that it runs after those before it
    /// and before those behind. It returns at once; an error inside the kernel shows at a later call.
    /// </summary>
    /// <param name="shape">Its threads.</param>
    /// <param name="arguments">Its arguments, as many and of such types as its parameters: nobody checks that.</param>
    /// <exception cref="LandmarkException">The driver refuses, or the device failed before.</exception>
    public void Launch(in LaunchShape shape, ref KernelArguments arguments)
    {
        using var entered = context.Enter();
        Allow(shape.SharedBytes);

        var config = new CudaApi.LaunchConfig
        {
            GridX = shape.Grid.X,
            GridY = shape.Grid.Y,
            GridZ = shape.Grid.Z,
            BlockX = shape.Block.X,
            BlockY = shape.Block.Y,
            BlockZ = shape.Block.Z,
            SharedBytes = (uint)shape.SharedBytes,
            Stream = context.CurrentStream,
        };
        var attributes = stackalloc CudaApi.LaunchAttribute[2];
        config.Attributes = attributes;
        if (shape.Cluster is { } size)
        {
            attributes[config.AttributeCount++] =
                new() { Id = CudaApi.LaunchAttribute.ClusterDimension, X = size.X, Y = size.Y, Z = size.Z };
        }
        if (shape.Early)
            attributes[config.AttributeCount++] = new() { Id = CudaApi.LaunchAttribute.ProgrammaticSerialization, X = 1 };

        var addresses = stackalloc nint[arguments.Count];
        fixed (byte* start = &arguments.First())
        {
            arguments.Addresses(start, new Span<nint>(addresses, arguments.Count));
            CudaApi.Check(
                CudaApi.cuLaunchKernelEx(&config, function, (void**)addresses, null), $"launching the kernel {Name}");
        }
    }

    // A kernel must ask for dynamic shared memory that goes beyond 48 KB together with its static one; asking for less does no harm.
    private void Allow(int sharedBytes)
    {
        if (sharedBytes <= allowedSharedBytes)
            return;
        lock (gate)
        {
            if (sharedBytes <= allowedSharedBytes)
                return;
            CudaApi.Check(
                CudaApi.cuFuncSetAttribute(function, MaxDynamicSharedBytes, sharedBytes),
                $"giving the kernel {Name} {sharedBytes} bytes of shared memory");
            allowedSharedBytes = sharedBytes;
        }
    }

    private int Get(int attribute)
    {
        CudaApi.Check(CudaApi.cuFuncGetAttribute(out var value, attribute, function), $"asking about the kernel {Name}");
        return value;
    }
}
