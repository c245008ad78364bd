using LandmarkSharp.Memory;

namespace LandmarkSharp.Server.Memories;

/// <summary>An open memory that several hold: closed when the last one lets go.</summary>
/// <param name="opened">The memory.</param>
/// <param name="closed">Told when it is closed.</param>
internal sealed class SharedMemory(OpenMemory opened, Action closed)
{
    private int holders = 1;

    /// <summary>The memory.</summary>
    public OpenMemory Opened => opened;

    /// <summary>Holds it once more; for one who knows that it is held.</summary>
    public void Hold() => Interlocked.Increment(ref holders);

    /// <summary>Lets go of it.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref holders) != 0) return;
        opened.Dispose();
        closed();
    }
}
