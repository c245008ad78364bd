using System.Text;

namespace LandmarkSharp.Memory.Files;

/// <summary>The documents or the sessions of a memory file while it is written.</summary>
public sealed class MemoryEntries
{
    private readonly MemoryFileWriter writer;
    private readonly string kind;
    private readonly List<MemoryEntry> entries = [];

    internal MemoryEntries(MemoryFileWriter writer, string kind) => (this.writer, this.kind) = (writer, kind);

    /// <summary>All of them as they will be committed, in their order.</summary>
    public IReadOnlyList<MemoryEntry> All => entries;

    /// <summary>Whether there is one of that name.</summary>
    public bool Contains(string name) => Index(name) >= 0;

    /// <summary>Adds one that has no text yet, after all others.</summary>
    /// <param name="name">Its name: any text but none, compared as it stands.</param>
    /// <param name="from">The session that a session goes on from, if it does from one.</param>
    /// <exception cref="LandmarkException">The name is none, or is taken.</exception>
    public void Add(string name, string? from = null)
    {
        CheckFree(name);
        if (from is not null) CheckName(from);
        entries.Add(new MemoryEntry(name, Complete: false, from, []));
    }

    /// <summary>Begins one anew. What is complete stays, also for readers, until the new one is, and that has its place.</summary>
    /// <exception cref="LandmarkException">There is none of that name.</exception>
    public void Replace(string name) => Change(name, e => e.Complete
        ? e with { Next = new MemoryEntry(e.Name, Complete: false, e.From, []) } : e with { Segments = [] });

    /// <summary>Gives one another name; what it consists of, and where it stands among the others, stays.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="to">The other one.</param>
    /// <exception cref="LandmarkException">There is none of that name, or the other one is none or is taken.</exception>
    public void Rename(string name, string to)
    {
        Required(name);
        CheckFree(to);
        Change(name, e => e with { Name = to, Next = e.Next is { } next ? next with { Name = to } : null });
    }

    /// <summary>Removes one; the space is freed by <see cref="MemoryFileWriter.Compact"/>.</summary>
    /// <exception cref="LandmarkException">There is none of that name.</exception>
    public void Remove(string name) => entries.RemoveAt(Required(name));

    /// <summary>Drops what is not complete: all of one, or what was to take its place.</summary>
    /// <exception cref="LandmarkException">There is none of that name.</exception>
    public void Abandon(string name)
    {
        if (entries[Required(name)].Complete) Change(name, e => e with { Next = null });
        else Remove(name);
    }

    /// <summary>Notes that all of one is there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="read">The documents that a session had read.</param>
    /// <exception cref="LandmarkException">There is none of that name.</exception>
    public void Complete(string name, IReadOnlyList<DocumentVersion>? read = null) =>
        Change(name, e => e.Written with { Complete = true, Read = read });

    /// <summary>
    /// Writes more of one that is not complete. Tokens are whole blocks, or fewer than a block's: a tail, whose keys and values are not
    /// kept, and which goes when its text goes on, with its tokens at the head of what comes.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">Tokens and text.</param>
    /// <param name="write">Writes keys, values and landmark keys; whatever it throws leaves all as it was.</param>
    /// <param name="filled">
    /// Whether the last block has keys and values though its tokens are fewer than a block's: it was filled up by repeating the last one.
    /// Nothing can follow it.
    /// </param>
    /// <exception cref="LandmarkException">Something does not fit, or the disk refuses; all is as it was.</exception>
    public void Append(string name, SegmentText text, Action<SegmentWriter> write, bool filled = false)
    {
        using var begun = Begin(name, text, filled);
        begun.Write(write);
        begun.Finish();
    }

    /// <summary>The same piece by piece: until the segment has ended, nothing else can be done to the file.</summary>
    internal BegunSegment Begin(string name, SegmentText text, bool filled)
    {
        var entry = entries[Required(name)].Written;
        if (entry.Complete) throw new LandmarkException($"The {kind} {MemoryDamage.Quote(name)} is complete; replace it to write it anew.");
        if (entry.Segments is [.., var last] && last.IsFilled(writer.Model))
            throw new LandmarkException($"The last block of the {kind} {MemoryDamage.Quote(name)} was filled up; replace it to write it anew.");
        return writer.Begin(text, filled, segment =>
        {
            entry = entry with { Segments = [.. entry.Segments.Where(s => s.Blocks > 0), segment] };
            Change(name, e => e.Next is null ? entry : e with { Next = entry });
        });
    }

    internal void Set(IEnumerable<MemoryEntry> all)
    {
        entries.Clear();
        entries.AddRange(all);
    }

    private void Change(string name, Func<MemoryEntry, MemoryEntry> change)
    {
        var index = Required(name);
        entries[index] = change(entries[index]);
    }

    private int Required(string name) => Index(name) is >= 0 and var index ? index : throw new LandmarkException(
        $"There is no {kind} {MemoryDamage.Quote(name)} in the memory; check the name, or add it.");

    private int Index(string name) => entries.FindIndex(e => string.Equals(e.Name, name, StringComparison.Ordinal));

    private void CheckFree(string name)
    {
        CheckName(name);
        if (Contains(name)) throw new LandmarkException($"There is a {kind} {MemoryDamage.Quote(name)} already; replace it, or choose another name.");
    }

    private void CheckName(string name)
    {
        if (name.Length == 0) throw new LandmarkException($"A {kind} needs a name; give one.");
        // A file's names are UTF-8: half a character would not come back.
        if (!string.Equals(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(name)), name, StringComparison.Ordinal))
            throw new LandmarkException($"The name {MemoryDamage.Quote(name)} is no valid text; give one of whole characters.");
    }
}
