using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// x·Wᵀ + b beside an adapter, where W is quantised and frozen. The product needs W, and its gradient dx = dy·W needs it again: it is
/// dequantised for each and let go, so that none is kept whole from one pass to the other.
/// </summary>
internal sealed class QuantizedLinear : autograd.SingleTensorFunction<QuantizedLinear>
{
    public override string Name => nameof(QuantizedLinear);

    /// <summary>The product, of which x gets a gradient.</summary>
    /// <param name="x">[..., K] of any type of activations.</param>
    /// <param name="matrix">[N, K].</param>
    /// <param name="bias">[N], frozen.</param>
    /// <returns>[..., N].</returns>
    public static Tensor Apply(Tensor x, QuantizedMatrix matrix, Tensor? bias) => apply(x, matrix, bias!);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (x, matrix, bias) = ((Tensor)vars[0], (QuantizedMatrix)vars[1], (Tensor?)vars[2]);
        ctx.save_data("matrix", matrix);
        using var scope = NewDisposeScope();
        return nn.functional.linear(x, matrix.Dequantize(x.dtype), bias?.to(x.dtype)).MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(3, () => Gradients(ctx, grad_output));

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var matrix = (QuantizedMatrix)ctx.get_data("matrix");
        var dx = gradient.matmul(matrix.Dequantize(gradient.dtype));
        gradient.Dispose();
        return [.. ReturnedGradients.Keep([dx]), null!, null!];
    }
}
