using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>How a number of a block's rows is kept, and read by vectors of any kind.</summary>
internal unsafe interface ICpuNumber
{
    /// <summary>Bytes of a number.</summary>
    static abstract int Size { get; }

    /// <summary>A vector of numbers, not scaled.</summary>
    static abstract T Load<TLanes, T>(byte* from)
        where TLanes : struct, ICpuLanes<T>
        where T : struct;

    /// <summary>One number, not scaled.</summary>
    static abstract float Load(byte* from);

    /// <summary>Keeps a row.</summary>
    /// <param name="row">[d].</param>
    /// <param name="d">Width.</param>
    /// <param name="to">[d] numbers.</param>
    /// <param name="scale">What they are multiplied by when they are read, for those that have one.</param>
    static abstract void Store(float* row, int d, byte* to, float* scale);
}

/// <summary>float32.</summary>
internal readonly unsafe struct Float32Number : ICpuNumber
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<TLanes, T>(byte* from)
        where TLanes : struct, ICpuLanes<T>
        where T : struct => TLanes.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* from) => *(float*)from;

    public static void Store(float* row, int d, byte* to, float* scale) => new Span<float>(row, d).CopyTo(new Span<float>(to, d));
}

/// <summary>bfloat16, the upper half of a float32: rounded to the nearest, of two as near to the even one.</summary>
internal readonly unsafe struct BFloat16Number : ICpuNumber
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<TLanes, T>(byte* from)
        where TLanes : struct, ICpuLanes<T>
        where T : struct => TLanes.WidenUpper((ushort*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* from) => Lanes1.WidenUpper((ushort*)from);

    public static void Store(float* row, int d, byte* to, float* scale)
    {
        for (var i = 0; i < d; i++)
        {
            var bits = BitConverter.SingleToUInt32Bits(row[i]);
            var rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
            ((ushort*)to)[i] = (ushort)(float.IsNaN(row[i]) ? 0x7FC0 : rounded);
        }
    }
}

/// <summary>int8 of a row with a scale, <see cref="BlockType.Scale"/>.</summary>
internal readonly unsafe struct Int8Number : ICpuNumber
{
    public static int Size => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<TLanes, T>(byte* from)
        where TLanes : struct, ICpuLanes<T>
        where T : struct => TLanes.Widen((sbyte*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* from) => *(sbyte*)from;

    public static void Store(float* row, int d, byte* to, float* scale)
    {
        *scale = BlockType.Scale(MathF.Abs(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(row, d))));
        if (!(*scale > 0)) new Span<byte>(to, d).Clear();
        else for (var i = 0; i < d; i++) ((sbyte*)to)[i] = (sbyte)MathF.Round(row[i] / *scale);
    }
}
