using LandmarkSharp.Tensors;

namespace LandmarkSharp.Memory;

/// <summary>
/// Which of an open memory's blocks take memory in its sessions, and a bound to that: what was read least recently is given back to the
/// system, which has it from the file again. It goes by windows of 64 KiB, since the system maps as much of a file around a page that it is
/// asked for. For any number of threads.
/// </summary>
internal sealed class HotPages
{
    private readonly Lock held = new();
    private readonly List<OpenedBlocks> sessions = [];
    private readonly long perLayer, most;
    private readonly int[] next, previous;              // a ring from the newest window to the oldest, through one that is none
    private readonly int none;
    private int count;

    /// <summary>Nothing is in memory yet.</summary>
    /// <param name="layers">Layers.</param>
    /// <param name="layerBytes">Bytes of a layer's blocks.</param>
    /// <param name="bytes">Bytes that may be in memory between layers; a layer has what it reads while it reads.</param>
    /// <exception cref="LandmarkException">It is a negative number.</exception>
    public HotPages(int layers, long layerBytes, long bytes)
    {
        if (bytes < 0) throw new LandmarkException($"{bytes} bytes of blocks cannot be kept in memory; give 0 or more.");
        (perLayer, most) = ((layerBytes + AddressRange.Window - 1) / AddressRange.Window, bytes / AddressRange.Window);
        none = checked((int)(layers * perLayer));
        (next, previous) = (new int[none + 1], new int[none + 1]);
        next.AsSpan().Fill(-1);
        (next[none], previous[none]) = (none, none);
    }

    /// <summary>Has a session's memory given back too, until it leaves.</summary>
    public void Join(OpenedBlocks session)
    {
        lock (held) sessions.Add(session);
    }

    /// <summary>Leaves a session alone, which has no blocks from now on.</summary>
    public void Leave(OpenedBlocks session)
    {
        lock (held) sessions.Remove(session);
    }

    /// <summary>Notes that bytes of a layer are read.</summary>
    public void Read(int layer, long at, long bytes)
    {
        lock (held)
        {
            for (var window = at / AddressRange.Window; window <= (at + bytes - 1) / AddressRange.Window; window++)
            {
                var index = (int)((layer * perLayer) + window);
                if (next[index] >= 0) Remove(index);
                (next[index], previous[index]) = (next[none], none);
                (previous[next[none]], next[none]) = (index, index);
                count++;
            }
        }
    }

    /// <summary>Gives back what is too much.</summary>
    public void Trim()
    {
        lock (held)
        {
            while (count > most)
            {
                var oldest = previous[none];
                Remove(oldest);
                var (layer, window) = Math.DivRem(oldest, perLayer);
                foreach (var session in sessions) session.Release((int)layer, window * AddressRange.Window, AddressRange.Window);
            }
        }
    }

    private void Remove(int index)
    {
        (next[previous[index]], previous[next[index]]) = (next[index], previous[index]);
        next[index] = -1;
        count--;
    }
}
