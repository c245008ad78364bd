using LandmarkSharp.Tensors;

namespace LandmarkSharp.Memory;

/// <summary>
/// Which of an open memory's blocks take memory in its sessions, where there is a bound to that: what was read least recently is given back
/// to the system, which has it from the file again. It goes by windows of 64 KiB, since the system maps as much of a file around a page that
/// it is asked for. For any number of threads.
/// </summary>
internal sealed class HotPages : IDisposable
{
    private readonly HotBound bound;
    private readonly List<OpenedBlocks> sessions = [];
    private readonly long perLayer;
    private readonly int[] next, previous;              // a ring from the newest window to the oldest, through one that is none
    private readonly int none;
    private bool isClosed;

    /// <summary>Nothing is in memory yet.</summary>
    /// <param name="layers">Layers.</param>
    /// <param name="layerBytes">Bytes of a layer's blocks.</param>
    /// <param name="bound">What they count in.</param>
    public HotPages(int layers, long layerBytes, HotBound bound)
    {
        (this.bound, perLayer) = (bound, (layerBytes + AddressRange.Window - 1) / AddressRange.Window);
        none = checked((int)(layers * perLayer));
        (next, previous) = (new int[none + 1], new int[none + 1]);
        next.AsSpan().Fill(-1);
        (next[none], previous[none]) = (none, none);
        lock (bound.Held) bound.Add(this);
    }

    /// <summary>Windows that are in memory.</summary>
    public int Count { get; private set; }

    /// <summary>Has a session's memory given back too, until it leaves.</summary>
    public void Join(OpenedBlocks session)
    {
        lock (bound.Held) sessions.Add(session);
    }

    /// <summary>Leaves a session alone, which has no blocks from now on.</summary>
    public void Leave(OpenedBlocks session)
    {
        lock (bound.Held) sessions.Remove(session);
    }

    /// <summary>Notes that bytes of a layer are read.</summary>
    public void Read(int layer, long at, long bytes)
    {
        lock (bound.Held)
        {
            if (isClosed) return;
            for (var window = at / AddressRange.Window; window <= (at + bytes - 1) / AddressRange.Window; window++)
            {
                var index = (int)((layer * perLayer) + window);
                if (next[index] >= 0) Remove(index);
                (next[index], previous[index]) = (next[none], none);
                (previous[next[none]], next[none]) = (index, index);
                Add(1);
            }
        }
    }

    /// <summary>Gives back what is too much, of this memory or another within its bound.</summary>
    public void Trim()
    {
        lock (bound.Held)
        {
            if (isClosed) return;
            bound.Read(this);
            bound.Trim();
        }
    }

    /// <summary>Gives back the window that was read least recently; for one who holds the bound.</summary>
    public void ReleaseOldest()
    {
        var oldest = previous[none];
        Remove(oldest);
        var (layer, window) = Math.DivRem(oldest, perLayer);
        foreach (var session in sessions) session.Release((int)layer, window * AddressRange.Window, AddressRange.Window);
    }

    /// <summary>Has its blocks not count any more.</summary>
    public void Dispose()
    {
        lock (bound.Held)
        {
            if (!isClosed) bound.Remove(this);
            isClosed = true;
        }
    }

    private void Remove(int index)
    {
        (next[previous[index]], previous[next[index]]) = (next[index], previous[index]);
        next[index] = -1;
        Add(-1);
    }

    private void Add(int windows)
    {
        Count += windows;
        bound.Count(windows);
    }
}
