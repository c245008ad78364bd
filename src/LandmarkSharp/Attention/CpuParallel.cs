using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using TorchSharp;

namespace LandmarkSharp.Attention;

/// <summary>
/// Splits rows of work over torch's own threads: a second pool would compete with them for the same processors, since they
/// spin for a while after each operator. Small work stays on the calling thread. <see cref="Briefly"/> alone has threads of its own.
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

    /// <summary>A row of work and the memory it may write to.</summary>
    public delegate void Row(int row, float* scratch);

    /// <summary>
    /// Runs <paramref name="body"/> for 0 … count−1 where rows differ in work: each thread takes the next row when it has done
    /// one, so rows should come longest first.
    /// </summary>
    /// <param name="count">Rows.</param>
    /// <param name="workPerRow">Elements a row touches, to tell whether threads pay.</param>
    /// <param name="scratch">Floats that each thread has to itself; they hold anything at first.</param>
    /// <param name="body">Must not throw.</param>
    public static void Each(int count, long workPerRow, int scratch, Row body) => Each(count, workPerRow, scratch, body, brief: false);

    /// <summary>
    /// <see cref="Each(int, long, int, Row)"/> for work of tens of microseconds: by <see cref="CpuHelpers"/>, so that a thread that
    /// comes late, as where others' work holds its processor, is not waited for.
    /// </summary>
    public static void Briefly(int count, long workPerRow, int scratch, Row body) => Each(count, workPerRow, scratch, body, brief: true);

    private static void Each(int count, long workPerRow, int scratch, Row body, bool brief)
    {
        var (threads, next) = (Math.Min(count, torch.get_num_threads()), -1);
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)threads * (nuint)scratch * sizeof(float), 64);
        void Work(int thread)
        {
            for (int row; (row = Interlocked.Increment(ref next)) < count;) body(row, memory + ((long)thread * scratch));
        }

        try
        {
            if (brief) CpuHelpers.Run(count * workPerRow < WorthAThread ? 1 : threads, Work);
            else For(threads, count * workPerRow / Math.Max(1, threads), Work);
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    [UnmanagedCallersOnly]
    private static void Rows(long begin, long end, void* context)
    {
        var body = (Action<int>)GCHandle.FromIntPtr((nint)context).Target!;
        for (var i = (int)begin; i < (int)end; i++) body(i);
    }
}
