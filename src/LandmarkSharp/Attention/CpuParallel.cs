using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Attention;

/// <summary>
/// Splits rows of work over torch's own threads: a second pool would compete with them for the same processors, since they
/// spin for a while after each operator. Small work stays on the calling thread.
/// </summary>
internal static unsafe class CpuParallel
{
    // Waking a thread costs tens of microseconds: less work than that, as one token of a small model is, is done faster here.
    private const int WorthAThread = 1 << 19;

    /// <summary>Runs <paramref name="body"/> for 0 … count−1.</summary>
    /// <param name="count">Rows.</param>
    /// <param name="workPerRow">Elements a row touches, to tell whether threads pay.</param>
    /// <param name="body">Must not throw.</param>
    public static void For(int count, long workPerRow, Action<int> body)
    {
        if (count * workPerRow < WorthAThread)
        {
            for (var i = 0; i < count; i++) body(i);
            return;
        }
        var handle = GCHandle.Alloc(body);
        try
        {
            AtenStack.Check(AtenApi.torch_parallel_for(0, count, 1, &Rows, (void*)GCHandle.ToIntPtr(handle)));
        }
        finally
        {
            handle.Free();
        }
    }

    [UnmanagedCallersOnly]
    private static void Rows(long begin, long end, void* context)
    {
        var body = (Action<int>)GCHandle.FromIntPtr((nint)context).Target!;
        for (var i = (int)begin; i < (int)end; i++) body(i);
    }
}
