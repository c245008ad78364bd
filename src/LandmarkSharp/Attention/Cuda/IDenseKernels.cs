using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// A family of CUDA kernels for dense landmark attention: 16-bit elements, float32 sums and statistics, memory O(T), equal bits for
/// equal inputs.
/// </summary>
internal interface IDenseKernels
{
    /// <summary>Whether tensors of such a type and shape on a device are theirs.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="block">Positions of a block, L.</param>
    /// <param name="backward">Whether gradients are wanted.</param>
    static abstract bool Serves(Tensor q, int block, bool backward);

    /// <summary>Attention of queries over their whole sequence.</summary>
    /// <param name="q">[B, H, T, d] on a card that they serve, rotated; query t stands at position S − T + t.</param>
    /// <param name="k">[B, G, S, d], rotated; G divides H: head h reads key-value head h / (H/G).</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="problem">What of them is computed.</param>
    /// <exception cref="LandmarkException">The tensors do not fit each other, or the device cannot run the kernel.</exception>
    /// <returns>
    /// The result, [B, H, T, d], in memory [B, T, H, d] as the next product reads it, and the logarithm to the base 2 of the
    /// gate's sum of exponentials, [B, H, T] float32; zeros and +∞ for a query that sees nothing.
    /// </returns>
    static abstract (Tensor Output, Tensor LogSum) Forward(Tensor q, Tensor k, Tensor v, DenseProblem problem);

    /// <summary>Compiles what <see cref="Backward"/> runs.</summary>
    /// <exception cref="LandmarkException">It does not compile for the device.</exception>
    static abstract void CompileBackward(Tensor q, DenseProblem problem);

    /// <summary>Gradients of <see cref="Forward"/>.</summary>
    /// <param name="q">As there; likewise the next two.</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="output">What it gave.</param>
    /// <param name="logSum">What it gave.</param>
    /// <param name="gradient">[B, H, T, d]: the output's.</param>
    /// <param name="logSumGradient">[B, H, T] float32: of the logarithm to the base e of the gate's sum; null for none.</param>
    /// <param name="problem">As there.</param>
    /// <returns>Gradients of q, k and v, contiguous.</returns>
    static abstract (Tensor Q, Tensor K, Tensor V) Backward(
        Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSum, Tensor gradient, Tensor? logSumGradient, DenseProblem problem);
}
