using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>What steps a model's parameters by their gradients, and keeps a state from step to step.</summary>
public interface IOptimizer : IDisposable
{
    /// <summary>The state to keep: moments by parameter, and the count of steps.</summary>
    IEnumerable<PlannedTensor> State { get; }

    /// <summary>Whether all of the state are finite numbers; of several processes, in each.</summary>
    bool IsFinite { get; }

    /// <summary>Takes the state back.</summary>
    /// <param name="saved">What <see cref="State"/> gave, by its names.</param>
    /// <exception cref="LandmarkException">A tensor is missing or has another shape.</exception>
    void Restore(Weights saved);

    /// <summary>
    /// Clips the gradients, steps, and takes the gradients away: the next backward leaves new ones, added to nothing.
    /// </summary>
    /// <param name="rate">Learning rate. Every parameter must have a gradient.</param>
    /// <returns>The gradients' norm before clipping, a scalar on their device.</returns>
    Tensor Step(double rate);
}
