namespace LandmarkSharp.Memory.Files;

/// <summary>A segment that is being written, after which nothing else can be until it ends: whole by <see cref="Finish"/>, or dropped.</summary>
/// <param name="path">The memory file.</param>
/// <param name="segment">Writes it.</param>
/// <param name="finished">Told when all of it is there.</param>
/// <param name="ended">Told when it ends, and whether whole.</param>
internal sealed class BegunSegment(string path, SegmentWriter segment, Action<MemorySegment> finished, Action<bool> ended) : IDisposable
{
    private bool hasEnded;

    /// <summary>Writes a part of it.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Write(Action<SegmentWriter> write) => WholeFiles.Guard(path, () => write(segment));

    /// <summary>Ends it, all having been written.</summary>
    /// <exception cref="LandmarkException">Something was not, or the disk refuses.</exception>
    public void Finish()
    {
        MemorySegment whole = null!;
        Write(s => whole = s.Finish());
        hasEnded = true;
        ended(true);
        finished(whole);
    }

    /// <summary>Drops it, if it is not whole.</summary>
    public void Dispose()
    {
        if (hasEnded) return;
        hasEnded = true;
        ended(false);
    }
}
