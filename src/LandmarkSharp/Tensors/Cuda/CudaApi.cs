using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>The part of NVIDIA's driver interface that loads and launches kernels. A function returns 0, or an error's code.</summary>
internal static unsafe partial class CudaApi
{
    private const string Library = "libcuda.so.1";

    /// <summary>Throws for an error, in the driver's own words.</summary>
    /// <param name="code">What a function returned.</param>
    /// <param name="doing">What was being done, as in "launching the kernel x".</param>
    /// <exception cref="LandmarkException">The code is not 0.</exception>
    public static void Check(int code, string doing)
    {
        if (code != 0)
            throw new LandmarkException(
                $"CUDA failed at {doing}: {(cuGetErrorString(code, out var text) == 0 ? Marshal.PtrToStringUTF8(text) : "unknown error")} "
                + $"(code {code}).");
    }

    /// <summary>The address by which the current device reads memory of the host; null where that is not pinned.</summary>
    public static long? DeviceAddress(nint host)
    {
        const int DevicePointer = 3;   // CU_POINTER_ATTRIBUTE_DEVICE_POINTER
        long address;
        return cuPointerGetAttribute(&address, DevicePointer, host) == 0 ? address : null;
    }

    [LibraryImport(Library)]
    public static partial int cuDeviceGet(out int device, int ordinal);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRetain(out nint context, int device);

    [LibraryImport(Library, EntryPoint = "cuCtxPushCurrent_v2")]
    public static partial int cuCtxPushCurrent(nint context);

    [LibraryImport(Library, EntryPoint = "cuCtxPopCurrent_v2")]
    public static partial int cuCtxPopCurrent(out nint context);

    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    public static partial int cuMemGetInfo(out nuint free, out nuint total);

    [LibraryImport(Library, EntryPoint = "cuMemHostRegister_v2")]
    public static partial int cuMemHostRegister(nint host, nuint bytes, uint flags);

    [LibraryImport(Library)]
    public static partial int cuMemHostUnregister(nint host);

    [LibraryImport(Library)]
    public static partial int cuModuleLoadData(out nint module, byte* image);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleGetFunction(out nint function, nint module, string name);

    [LibraryImport(Library)]
    public static partial int cuFuncGetAttribute(out int value, int attribute, nint function);

    [LibraryImport(Library)]
    public static partial int cuFuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(Library)]
    public static partial int cuOccupancyMaxActiveBlocksPerMultiprocessor(
        out int blocks, nint function, int threads, nuint sharedBytes);

    [LibraryImport(Library)]
    public static partial int cuLaunchKernelEx(LaunchConfig* config, nint function, void** arguments, void** extra);

    [LibraryImport(Library)]
    public static partial int cuTensorMapEncodeTiled(
        void* map,
        int type,
        uint rank,
        nint address,
        ulong* sizes,
        ulong* strides,
        uint* box,
        uint* elementStrides,
        int interleave,
        int swizzle,
        int promotion,
        int fill);

    [LibraryImport(Library)]
    public static partial int cuEventCreate(out nint mark, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventRecord(nint mark, nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventSynchronize(nint mark);

    [LibraryImport(Library)]
    public static partial int cuEventElapsedTime(out float milliseconds, nint start, nint end);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    public static partial int cuEventDestroy(nint mark);

    [LibraryImport(Library)]
    private static partial int cuPointerGetAttribute(void* value, int attribute, nint pointer);

    [LibraryImport(Library)]
    private static partial int cuGetErrorString(int error, out nint text);

    /// <summary><c>CUlaunchConfig</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct LaunchConfig
    {
        public uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ, SharedBytes;
        public nint Stream;
        public LaunchAttribute* Attributes;
        public uint AttributeCount;
    }

    /// <summary><c>CUlaunchAttribute</c> with a cluster's dimensions, or a yes in the first of them, as its value.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    public struct LaunchAttribute
    {
        public const int ClusterDimension = 4;
        public const int ProgrammaticSerialization = 6;

        [FieldOffset(0)]
        public int Id;

        [FieldOffset(8)]
        public uint X;

        [FieldOffset(12)]
        public uint Y;

        [FieldOffset(16)]
        public uint Z;
    }
}
