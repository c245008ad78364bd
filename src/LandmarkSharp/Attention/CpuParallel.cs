namespace LandmarkSharp.Attention;

/// <summary>Splits rows of work over the threads torch may use; small work stays on the calling thread.</summary>
internal static class CpuParallel
{
    private const int WorthAThread = 1 << 15;

    /// <summary>Runs <paramref name="body"/> for 0 … count−1.</summary>
    /// <param name="count">Rows.</param>
    /// <param name="workPerRow">Elements a row touches, to tell whether threads pay.</param>
    /// <param name="body">Must not throw.</param>
    public static void For(int count, long workPerRow, Action<int> body)
    {
        var threads = Math.Min(TorchSharp.torch.get_num_threads(), count);
        if (threads < 2 || count * workPerRow < WorthAThread)
        {
            for (var i = 0; i < count; i++) body(i);
            return;
        }
        var parts = threads * 4; // rows differ little in cost; a few parts a thread even out what else runs on the machine
        Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = threads }, part =>
        {
            var end = (int)((part + 1L) * count / parts);
            for (var i = (int)((long)part * count / parts); i < end; i++) body(i);
        });
    }
}
