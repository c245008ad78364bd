using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// What a function's backward returned. libtorch takes hold of a gradient only when backward has returned it, and on CUDA the
/// thread is libtorch's own, where no dispose scope is open: so each thread keeps the last ones until it comes here again, and no
/// other thread touches them.
/// </summary>
internal static class ReturnedGradients
{
    [ThreadStatic]
    private static Tensor[]? last;

    /// <summary>Frees the last ones of this thread and keeps others, which leave their scopes.</summary>
    public static Tensor[] Keep(Tensor[] gradients)
    {
        foreach (var gradient in last ?? []) gradient.Dispose();
        return last = [.. gradients.Select(x => x.DetachFromDisposeScope())];
    }
}
