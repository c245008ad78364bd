using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// A part of a model that keeps its input alone and computes again what its backward pass needs (Chen et al., Training Deep Nets
/// with Sublinear Memory Cost, 2016): a third more work, for the memory of one such part in place of all.
/// </summary>
internal sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
{
    public override string Name => nameof(Recomputed);

    /// <summary>Applies a function that gives the same whenever it is asked.</summary>
    /// <param name="part">From a tensor to another; parameters in it get their gradients.</param>
    /// <param name="x">Its input.</param>
    public static Tensor Apply(Func<Tensor, Tensor> part, Tensor x) =>
        is_grad_enabled() && x.requires_grad ? apply(x, part) : part(x);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, part) = ((Tensor)vars[0], (Func<Tensor, Tensor>)vars[1]);
        ctx.save_for_backward([x]);
        ctx.save_data("part", part);
        using var quiet = no_grad();
        return part(x);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(2, () => Gradients(ctx, grad_output));

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var loud = enable_grad();
        var x = ctx.get_saved_variables()[0].detach().requires_grad_();
        var y = ((Func<Tensor, Tensor>)ctx.get_data("part"))(x);
        autograd.backward([y], [gradient]);
        gradient.Dispose();
        return [.. ReturnedGradients.Keep([x.grad!]), null!];
    }
}
