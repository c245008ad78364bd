using System.Runtime.CompilerServices;
using TorchSharp;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>How the copy engine permutes 16-byte pieces inside a box, so that columns of it lie in different banks.</summary>
internal enum Swizzle
{
    None,
    Bytes32,
    Bytes64,
    Bytes128,
}

/// <summary>
/// What Hopper's copy engine (TMA) must know of a tensor to copy boxes of it: the driver's own 128 bytes, which a kernel
/// takes by value. Elements of a box that lie outside of the tensor arrive as 0.
/// </summary>
[InlineArray(Bytes / sizeof(ulong))]
internal unsafe struct TensorMap
{
    /// <summary>The size of a map in bytes.</summary>
    public const int Bytes = 128;

    private const int Alignment = 64;
    private const int Promote256Bytes = 3;   // CU_TENSOR_MAP_L2_PROMOTION_L2_256B

    private ulong first;

    /// <summary>Describes a tensor.</summary>
    /// <param name="address">Its first element on the device, at a multiple of 16 bytes.</param>
    /// <param name="type">float32, float16 or bfloat16.</param>
    /// <param name="sizes">Its 2 to 5 sizes in elements, the innermost first.</param>
    /// <param name="strides">Bytes from one index to the next of every dimension but the innermost: multiples of 16.</param>
    /// <param name="box">The sizes of a box in elements, 1 to 256 each, the innermost first.</param>
    /// <param name="swizzle">How a box lies in shared memory; a row of it is at most as long as the name says.</param>
    /// <exception cref="LandmarkException">The copy engine cannot do that.</exception>
    public static TensorMap Create(
        nint address,
        torch.ScalarType type,
        ReadOnlySpan<long> sizes,
        ReadOnlySpan<long> strides,
        ReadOnlySpan<int> box,
        Swizzle swizzle)
    {
        Check(address, type, sizes, strides, box, swizzle);
        var rank = sizes.Length;
        var extents = stackalloc ulong[rank];
        var steps = stackalloc ulong[rank];
        var boxes = stackalloc uint[rank];
        var ones = stackalloc uint[rank];
        for (var i = 0; i < rank; i++)
            (extents[i], steps[i], boxes[i], ones[i]) = ((ulong)sizes[i], i < rank - 1 ? (ulong)strides[i] : 0, (uint)box[i], 1);

        // The driver wants the map at a multiple of 64 bytes, which .NET's stack does not promise.
        var room = stackalloc byte[Bytes + Alignment];
        var map = (void*)(((nint)room + Alignment - 1) & ~(Alignment - 1));
        CudaApi.Check(
            CudaApi.cuTensorMapEncodeTiled(
                map, TypeCode(type)!.Value, (uint)rank, address, extents, steps, boxes, ones, 0, (int)swizzle, Promote256Bytes, 0),
            "describing a tensor to the copy engine");
        return *(TensorMap*)map;
    }

    /// <summary>Throws what is wrong: the driver would say no more than "invalid argument".</summary>
    public static void Check(
        nint address,
        torch.ScalarType type,
        ReadOnlySpan<long> sizes,
        ReadOnlySpan<long> strides,
        ReadOnlySpan<int> box,
        Swizzle swizzle)
    {
        const long MostStride = 1L << 40;
        if (TypeCode(type) is null)
            throw Refuse($"elements of type {type}: float32, float16 and bfloat16 are possible");
        if (sizes.Length is < 2 or > 5 || strides.Length != sizes.Length - 1 || box.Length != sizes.Length)
            throw Refuse(
                $"{sizes.Length} sizes, {strides.Length} strides and a box of {box.Length}: 2 to 5 sizes are possible, a "
                + "stride fewer, and a box of as many");
        if (address == 0 || address % 16 != 0)
            throw Refuse($"a tensor at address {address}: it must be a multiple of 16 bytes");
        foreach (var size in sizes)
        {
            if (size is < 1 or > 1L << 32)
                throw Refuse($"a size of {size}: 1 to 2^32 is possible");
        }

        foreach (var stride in strides)
        {
            if (stride < 0 || stride >= MostStride || stride % 16 != 0)
                throw Refuse($"a stride of {stride} bytes: it must be a multiple of 16 below 2^40");
        }

        foreach (var side in box)
        {
            if (side is < 1 or > 256)
                throw Refuse($"a box with a side of {side}: 1 to 256 is possible");
        }

        var row = box[0] * (type == torch.ScalarType.Float32 ? 4 : 2);
        var most = swizzle == Swizzle.None ? int.MaxValue : 16 << (int)swizzle;
        if (row % 16 != 0 || row > most)
            throw Refuse(
                $"boxes with rows of {row} bytes: a row must be a multiple of 16 bytes"
                + (swizzle == Swizzle.None ? "" : $", and at most {most} with this swizzle"));
    }

    private static LandmarkException Refuse(string what) => new($"The copy engine cannot take {what}.");

    private static int? TypeCode(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float16 => 6,
        torch.ScalarType.Float32 => 7,
        torch.ScalarType.BFloat16 => 9,
        _ => null,
    };
}
