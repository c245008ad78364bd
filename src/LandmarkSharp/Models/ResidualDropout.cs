using LandmarkSharp.Attention;
using LandmarkSharp.Models.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Dropout of what the embedding and each part of a layer add to the residual stream, in training. Nothing of it is kept for the
/// backward pass, and layers may be computed again.
/// </summary>
internal static class ResidualDropout
{
    /// <summary>x with elements dropped; where gradients are recorded, its gradient has the same ones dropped.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="dropout">Which, and what for.</param>
    public static Tensor Of(Tensor x, SeededDropout dropout) => ResidualDropoutFunction.Apply(x, dropout);

    /// <summary>x times 0 or 1 / (1 − p), as <c>landmark_dropout.cu</c> has it.</summary>
    public static Tensor Drop(Tensor x, SeededDropout dropout)
    {
        using var quiet = no_grad();
        if (CudaDropout.Serves(x)) return CudaDropout.Drop(x, dropout);
        using var mask = Mask(x.numel(), dropout);
        using var there = mask.to(x.dtype, x.device);
        using var shaped = there.view(x.shape);
        return x * shaped;
    }

    /// <summary>What elements are multiplied by, float32 [count] on the CPU.</summary>
    private static unsafe Tensor Mask(long count, SeededDropout dropout)
    {
        const int Row = 1 << 14;
        var mask = empty([count], ScalarType.Float32);
        var to = (float*)Aten.DataPointer(mask);
        var (threshold, kept, seed) = (dropout.Threshold, dropout.Kept, Mixed(unchecked((uint)dropout.Seed)));
        CpuParallel.For((int)((count + Row - 1) / Row), Row, row =>
        {
            for (var i = (long)row * Row; i < Math.Min(count, (row + 1L) * Row); i++)
                to[i] = Mixed(seed + unchecked((uint)i * 0x9e3779b9)) < threshold ? 0 : kept;
        });
        return mask;
    }

    // murmur3's finalizer: every bit of x bears on every bit of the result.
    private static uint Mixed(uint x)
    {
        unchecked
        {
            x = (x ^ (x >> 16)) * 0x85ebca6b;
            x = (x ^ (x >> 13)) * 0xc2b2ae35;
            return x ^ (x >> 16);
        }
    }
}

/// <summary>Dropout whose backward pass draws again what it dropped.</summary>
internal sealed class ResidualDropoutFunction : autograd.SingleTensorFunction<ResidualDropoutFunction>
{
    public override string Name => nameof(ResidualDropoutFunction);

    public static Tensor Apply(Tensor x, SeededDropout dropout) =>
        is_grad_enabled() && x.requires_grad ? apply(x, dropout) : ResidualDropout.Drop(x, dropout);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var dropout = (SeededDropout)vars[1];
        ctx.save_data("dropout", dropout);
        return ResidualDropout.Drop((Tensor)vars[0], dropout);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(2, () =>
        {
            var back = ResidualDropout.Drop(grad_output, (SeededDropout)ctx.get_data("dropout"));
            grad_output.Dispose();
            return [.. ReturnedGradients.Keep([back]), null!];
        });
}
