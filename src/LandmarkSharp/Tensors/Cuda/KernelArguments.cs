using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>
/// The arguments of one launch, in the order of the kernel's parameters, packed on the stack. Tensors among them are kept
/// alive as long as this is: until the launch has returned, and after that the stream's order keeps their memory.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe ref struct KernelArguments
{
    private const int MostBytes = 1024;
    private const int MostArguments = 40;
    private const int MostTensors = 16;

    private Bytes bytes;
    private Offsets offsets;
    private Tensors tensors;
    private int size;
    private int tensorCount;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>A pointer to a tensor's first element; null for no tensor.</summary>
    /// <exception cref="LandmarkException">The tensor is not on a CUDA device.</exception>
    public void Add(Tensor? tensor)
    {
        if (tensor is null)
        {
            Put<nint>(0);
            return;
        }

        if (tensor.device_type != TorchSharp.DeviceType.CUDA)
            throw new LandmarkException($"A CUDA kernel was given a tensor on {tensor.device}: move it to the device first.");
        Put(Aten.DataPointer(tensor));
        tensors[tensorCount++] = tensor;
    }

    /// <summary>An <c>int</c>.</summary>
    public void Add(int value) => Put(value);

    /// <summary>A <c>long long</c>.</summary>
    public void Add(long value) => Put(value);

    /// <summary>A <c>float</c>.</summary>
    public void Add(float value) => Put(value);

    /// <summary>A tensor map by value: <c>const __grid_constant__</c> of 128 bytes, aligned to 64.</summary>
    public void Add(TensorMap map) => Put(map);

    /// <summary>A structure by value, laid out as the kernel's is.</summary>
    public void AddStruct<T>(in T value)
        where T : unmanaged => Put(value);

    /// <summary>The address of each argument, as the driver wants them.</summary>
    /// <param name="start">Where the first byte of this packing lies: the caller has pinned it.</param>
    /// <param name="addresses">Room for <see cref="Count"/>.</param>
    public readonly void Addresses(byte* start, Span<nint> addresses)
    {
        for (var i = 0; i < Count; i++)
            addresses[i] = (nint)(start + offsets[i]);
    }

    /// <summary>The first byte, to pin.</summary>
    [UnscopedRef]
    public ref byte First() => ref bytes[0];

    private void Put<T>(T value)
        where T : unmanaged
    {
        // The driver copies values as they lie; alignment matters to the processor alone.
        var at = (size + 7) & ~7;
        MemoryMarshal.Write(((Span<byte>)bytes)[at..], in value);
        offsets[Count++] = (short)at;
        size = at + sizeof(T);
    }

    [InlineArray(MostBytes)]
    private struct Bytes
    {
        private byte first;
    }

    [InlineArray(MostArguments)]
    private struct Offsets
    {
        private short first;
    }

    [InlineArray(MostTensors)]
    private struct Tensors
    {
        private Tensor? first;
    }
}
