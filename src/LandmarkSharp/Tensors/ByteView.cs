using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>The bytes of a tensor as numbers of another type, without a copy.</summary>
internal static class ByteView
{
    /// <summary>Takes numbers that lie side by side for wider ones, or each for several narrower ones.</summary>
    /// <param name="x"><c>[..., N]</c>, whose last dimension lies without gaps.</param>
    /// <param name="type">The type to take them for.</param>
    /// <returns><c>[..., N · size of x's type / size of type]</c>.</returns>
    /// <exception cref="LandmarkException">libtorch refuses: rows do not begin or end at the type's size.</exception>
    public static Tensor As(Tensor x, ScalarType type)
    {
        using var stack = new AtenStack();
        stack.Add(x);
        stack.Add((long)type);
        stack.Call("aten::view"u8, "dtype"u8, 1);
        return stack.Take(0);
    }
}
