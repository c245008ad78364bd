using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Models.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Dropout (Srivastava et al., 2014) of what the embedding and each part of a layer add to the residual stream, in training: an element
/// is 0 with probability p, and those left are divided by 1 − p. What is dropped follows from the seed and the element's place,
/// whatever computes it, so nothing of it is kept for the backward pass and layers may be computed again.
/// </summary>
/// <param name="Probability">Of an element to be dropped, p: 0 to less than 1.</param>
/// <param name="Seed">Another one drops other elements: take one for each batch.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct ResidualDropout(double Probability, int Seed)
{
    /// <summary>Random numbers below this one drop their element.</summary>
    internal uint Threshold => (uint)(Probability * uint.MaxValue);

    /// <summary>What an element that is left is multiplied by.</summary>
    internal float Kept => (float)(1 / (1 - Probability));

    /// <summary>The same, with a seed of its own for a place in the model.</summary>
    internal ResidualDropout At(int place) => this with { Seed = unchecked((Seed * 16777619) + place) };

    /// <summary>x with elements dropped; where gradients are recorded, its gradient has the same ones dropped.</summary>
    /// <param name="x">Any shape.</param>
    public Tensor Of(Tensor x) => ResidualDropoutFunction.Apply(x, this);

    /// <summary>x times 0 or 1 / (1 − p), as <c>landmark_dropout.cu</c> has it.</summary>
    internal Tensor Drop(Tensor x)
    {
        using var quiet = no_grad();
        if (CudaDropout.Serves(x)) return CudaDropout.Drop(x, this);
        using var mask = Mask(x.numel());
        using var there = mask.to(x.dtype, x.device);
        return x * there.view(x.shape);
    }

    /// <summary>What elements are multiplied by, float32 [count] on the CPU.</summary>
    internal unsafe Tensor Mask(long count)
    {
        const int Row = 1 << 14;
        var mask = empty([count], ScalarType.Float32);
        var to = (float*)Aten.DataPointer(mask);
        var (threshold, kept, seed) = (Threshold, Kept, Mixed(unchecked((uint)Seed)));
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

    public static Tensor Apply(Tensor x, ResidualDropout dropout) =>
        is_grad_enabled() && x.requires_grad ? apply(x, dropout) : dropout.Drop(x);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var dropout = (ResidualDropout)vars[1];
        ctx.save_data("dropout", dropout);
        return dropout.Drop((Tensor)vars[0]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(2, () =>
        {
            var back = ((ResidualDropout)ctx.get_data("dropout")).Drop(grad_output);
            grad_output.Dispose();
            return [.. ReturnedGradients.Keep([back]), null!];
        });
}
