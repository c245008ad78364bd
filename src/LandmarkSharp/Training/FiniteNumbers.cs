using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>Whether numbers are.</summary>
internal static class FiniteNumbers
{
    /// <summary>Whether all numbers of tensors of one device are finite.</summary>
    public static bool In(IEnumerable<Tensor> tensors)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        // max and min are NaN where a number is.
        var ends = stack([.. tensors.SelectMany(t => new[] { t.max(), t.min() }).Select(e => e.to(ScalarType.Float32))]);
        return ends.isfinite().all().item<bool>();
    }
}
