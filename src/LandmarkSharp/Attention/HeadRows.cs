using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>A float32 tensor [B, H, T, d] as addresses, in whatever order its heads lie. It does not keep the tensor alive.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct HeadRows
{
    private readonly float* data;
    private readonly long batch, head;

    public HeadRows(Tensor x)
    {
        var strides = x.stride();
        data = (float*)Aten.DataPointer(x);
        (batch, head, Row) = (strides[0], strides[1], (nint)strides[2]);
    }

    /// <summary>From one row of a head to the next.</summary>
    public nint Row { get; }

    /// <summary>The row of position t.</summary>
    public float* At(int b, int h, int t) => data + (b * batch) + (h * head) + (t * Row);

    /// <summary>The rows from position t on, [·, d].</summary>
    public Matrix From(int b, int h, int t) => new(At(b, h, t), Row);
}
