using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>A tensor as a safetensors file lists it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its shape; empty for a scalar.</param>
/// <param name="Offset">Where its first byte lies, from the start of the file.</param>
/// <param name="Bytes">How many bytes it takes.</param>
public sealed record TensorEntry(string Name, ScalarType Type, long[] Shape, long Offset, long Bytes);
