using LandmarkSharp.Tensors;

namespace LandmarkSharp.Memory;

/// <summary>
/// A bound to the bytes of blocks that open memories keep in memory together, by itself or within another that holds more of them. Each
/// may have all of it: where there are too many, what was read least recently of the memory that was read least recently is given back.
/// For any number of threads.
/// </summary>
internal sealed class HotBound
{
    private readonly HotBound? within;
    private readonly List<HotPages> memories = [];             // the one read last is the last
    private long most, count;                                     // windows

    /// <summary>Sets a bound.</summary>
    /// <param name="bytes">Bytes that may be in memory between layers; a layer has what it reads while it reads.</param>
    /// <param name="within">A bound that holds for these memories too.</param>
    /// <exception cref="LandmarkException">It is a negative number.</exception>
    public HotBound(long bytes, HotBound? within = null)
    {
        (this.within, Held) = (within, within?.Held ?? new Lock());
        Limit(bytes);
    }

    /// <summary>Guards this bound, those around it and in it, and their memories.</summary>
    public Lock Held { get; }

    /// <summary>Sets another bound, which holds from the next reading on.</summary>
    /// <exception cref="LandmarkException">It is a negative number.</exception>
    public void Limit(long bytes)
    {
        if (bytes < 0) throw new LandmarkException($"{bytes} bytes of blocks cannot be kept in memory; give 0 or more.");
        lock (Held) most = bytes / AddressRange.Window;
    }

    /// <summary>Has a memory's blocks count, from now on.</summary>
    public void Add(HotPages memory)
    {
        memories.Add(memory);
        within?.Add(memory);
    }

    /// <summary>Has them not count any more.</summary>
    public void Remove(HotPages memory)
    {
        memories.Remove(memory);
        count -= memory.Count;
        within?.Remove(memory);
    }

    /// <summary>Counts windows that have come or, below 0, gone.</summary>
    public void Count(int windows)
    {
        count += windows;
        within?.Count(windows);
    }

    /// <summary>Notes which memory was read last.</summary>
    public void Read(HotPages memory)
    {
        if (memories[^1] != memory)
        {
            memories.Remove(memory);
            memories.Add(memory);
        }
        within?.Read(memory);
    }

    /// <summary>Gives back what is too much.</summary>
    public void Trim()
    {
        while (count > most) memories.Find(m => m.Count > 0)!.ReleaseOldest();
        within?.Trim();
    }
}
