using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Exceptions in the backward of a function of ours, as when a device's memory does not suffice. One that left it would cross
/// libtorch's frames and end the process: so it is kept here, and what is returned in place of gradients is nothing that libtorch
/// takes, so that its own backward fails as it should.
/// </summary>
internal static class BackwardFailure
{
    // On CPUs libtorch calls on the thread that asked, whose failure is nobody else's.
    [ThreadStatic]
    private static bool asks;

    [ThreadStatic]
    private static Exception? own;

    // Of all other threads: on CUDA libtorch calls on its own.
    private static Exception? first;
    private static int waiting;

    /// <summary>Runs a function's backward.</summary>
    /// <param name="arguments">How many the function was applied to.</param>
    /// <param name="backward">Gives a gradient or null for each.</param>
    public static List<Tensor> Kept(int arguments, Func<List<Tensor>> backward)
    {
        try
        {
            return backward();
        }
        catch (Exception e)
        {
            if (asks) own ??= e;
            else if (Volatile.Read(ref waiting) > 0) Interlocked.CompareExchange(ref first, e, null);
            return [.. ReturnedGradients.Keep([empty(0)]), .. Enumerable.Repeat<Tensor>(null!, arguments - 1)];
        }
    }

    /// <summary>Runs libtorch's backward, and throws what a function's threw.</summary>
    public static void Told(Action backward)
    {
        Interlocked.Increment(ref waiting);
        asks = true;
        try
        {
            backward();
        }
        catch (Exception) when ((own ?? Volatile.Read(ref first)) is { } cause)
        {
            ExceptionDispatchInfo.Throw(cause);
        }
        finally
        {
            (asks, own) = (false, null);
            if (Interlocked.Decrement(ref waiting) == 0) first = null;
        }
    }
}
