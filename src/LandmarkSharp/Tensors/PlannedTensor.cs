using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>A tensor of which type and shape are known before it is made: a file's header is written first.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type that it will have.</param>
/// <param name="Shape">The shape that it will have.</param>
/// <param name="Make">Makes it when its turn comes; what is made within it is freed once it is written.</param>
public sealed record PlannedTensor(string Name, ScalarType Type, long[] Shape, Func<Tensor> Make);
