using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Memory.Files;

/// <summary>Puts commits on the disk. What a catalog names is there before it, and a catalog before the root that names it.</summary>
internal static class MemoryCommit
{
    /// <summary>Writes a new file's header and first commit; nothing has its name yet, so both slots can be written at once.</summary>
    /// <param name="target">The file.</param>
    /// <param name="header">Its header.</param>
    /// <param name="catalog">What it holds.</param>
    /// <param name="sequence">The number of the commit.</param>
    /// <param name="at">Where its segments end.</param>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static MemoryRoot Begin(SafeFileHandle target, MemoryHeader header, MemoryCatalog catalog, long sequence, long at)
    {
        RandomAccess.Write(target, header.ToPage(), 0);
        var root = WriteCatalog(target, header.Id, catalog, sequence, at);
        for (var slot = 0; slot < MemoryRoot.Slots; slot++) WriteSlot(target, header.Id, slot, root);
        return root;
    }

    /// <summary>Writes a catalog, and flushes it.</summary>
    /// <returns>The root that names it.</returns>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static MemoryRoot WriteCatalog(SafeFileHandle target, ulong id, MemoryCatalog catalog, long sequence, long at)
    {
        var json = catalog.ToBytes();
        var root = new MemoryRoot(sequence, at, json.Length, XxHash3.HashToUInt64(json));
        var pages = new byte[root.End - at];
        json.CopyTo(pages, 0);
        root.ToBytes(id).CopyTo(pages, pages.Length - MemoryRoot.Size);
        RandomAccess.Write(target, pages, at);
        RandomAccess.FlushToDisk(target);
        return root;
    }

    /// <summary>Writes a root slot, and flushes it.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static void WriteSlot(SafeFileHandle target, ulong id, int slot, MemoryRoot root)
    {
        RandomAccess.Write(target, root.ToBytes(id), MemoryRoot.SlotOffset(slot));
        RandomAccess.FlushToDisk(target);
    }
}
