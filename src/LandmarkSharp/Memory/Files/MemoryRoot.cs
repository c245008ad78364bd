using System.Buffers.Binary;
using System.IO.Hashing;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// Names a commit's catalog. It stands in one of two slots, which are written in turn, and at the end of the catalog's own last
/// page: there it is found from the end of the file when a slot is damaged.
/// </summary>
/// <param name="Sequence">The number of the commit.</param>
/// <param name="Offset">Where the catalog begins, in bytes.</param>
/// <param name="Length">Its length in bytes, without what fills its last page.</param>
/// <param name="Hash">Its hash.</param>
internal sealed record MemoryRoot(long Sequence, long Offset, long Length, ulong Hash)
{
    /// <summary>Bytes that it takes.</summary>
    public const int Size = 48;

    /// <summary>Slots; each has a page of its own, after the header's.</summary>
    public const int Slots = 2;

    /// <summary>Where segments and catalogs begin.</summary>
    public const long FirstOffset = (1 + Slots) * MemoryHeader.Page;

    private static ReadOnlySpan<byte> Magic => "LMEMroot"u8;

    /// <summary>The slot of this commit.</summary>
    public int Slot => (int)(Sequence % Slots);

    /// <summary>Where the file ends with this commit.</summary>
    public long End => SegmentLayout.Align(Offset + Length + Size, MemoryHeader.Page);

    /// <summary>Where a slot is.</summary>
    public static long SlotOffset(int slot) => (1 + slot) * MemoryHeader.Page;

    /// <summary>As it is written.</summary>
    /// <param name="id">The file's.</param>
    public byte[] ToBytes(ulong id)
    {
        var bytes = new byte[Size];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Offset);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Length);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(32), Hash);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(40), XxHash3.HashToUInt64(bytes.AsSpan(0, 40), (long)id));
        return bytes;
    }

    /// <summary>Finds the newest commit.</summary>
    /// <param name="file">The file.</param>
    /// <param name="id">Its id.</param>
    /// <returns>The commit, and which slots are not as they were written.</returns>
    /// <exception cref="LandmarkException">There is none.</exception>
    public static (MemoryRoot Root, IReadOnlyList<int> DamagedSlots) Newest(StoredFile file, ulong id)
    {
        var slots = Enumerable.Range(0, Slots).Select(slot => Find(file, SlotOffset(slot), id)).ToArray();
        int[] damaged = [.. Enumerable.Range(0, Slots).Where(slot => slots[slot] is null)];
        var newest = slots.MaxBy(root => root?.Sequence ?? -1);
        if (damaged.Length == 0) return (newest!, damaged);

        // A newer commit can only lie behind the one that is known; the last is the newest.
        var known = newest?.End ?? FirstOffset;
        for (var end = file.Length / MemoryHeader.Page * MemoryHeader.Page; end > known; end -= MemoryHeader.Page)
            if (Find(file, end - Size, id) is { } found && found.End == end) return (found, damaged);
        return (newest ?? throw new LandmarkException(
            $"{file.Path} is damaged: nothing in it says where its newest commit is; restore it from a copy."), damaged);
    }

    private static MemoryRoot? Find(StoredFile file, long at, ulong id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        if (file.ReadSome(bytes, at) != Size || !bytes.StartsWith(Magic)) return null;
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]) != XxHash3.HashToUInt64(bytes[..40], (long)id)) return null;
        return new MemoryRoot(
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]), BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]));
    }
}
