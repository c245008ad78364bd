using System.Text;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Generation;

/// <content>A session kept in a memory file.</content>
public sealed partial class Session
{
    private readonly HashSet<DocumentVersion> versions = [];     // that it was opened from and saved as

    /// <summary>The name by which it was saved or opened last; null for none.</summary>
    public string? Name { get; private set; }

    /// <summary>
    /// Of a session that was saved before, how the memory's documents differ from those it had read then; null for one that was not, and
    /// where it was not kept which those were.
    /// </summary>
    public DocumentChanges? Changes { get; }

    /// <summary>
    /// Saves what the session read and generated after the memory with which it began, in that memory's file or in another that is opened
    /// with it: <see cref="LandmarkEngine.OpenSession(OpenMemory, string)"/> goes on with it. By its own name it takes the place of what was saved before; by
    /// another it is another session from now on, that went on from this one. The caller commits, or takes all back where this throws.
    /// </summary>
    /// <param name="writer">The file's writer.</param>
    /// <param name="name">The name.</param>
    /// <exception cref="LandmarkException">
    /// The session began with no memory or a part of one, or has read nothing, another one has the name or was saved by it meanwhile, the file is another
    /// model's or keeps blocks as another type, the model computes no numbers, or the disk refuses.
    /// </exception>
    public void Save(MemoryFileWriter writer, string name)
    {
        if (opened is null) throw new LandmarkException("The session began without a memory, so there is nothing to save it with; begin it with one.");
        if (opened.IsPart)
            throw new LandmarkException("The session read some blocks of a memory alone, and one that is saved goes on after all; begin it with the whole memory.");
        if (writer.Model != opened.Model || writer.Type != opened.Type)
            throw new LandmarkException("The file is another model's than the session's memory, or keeps blocks as another type; give that memory's.");
        if (text.Count == 0) throw new LandmarkException("There is nothing to save: append a text first.");
        while (waiting.Count > 0) Run(Math.Min(memory.Room, waiting.Count));

        if (name != Name || !writer.Sessions.Contains(name)) writer.Sessions.Add(name, Name);
        else if (versions.Contains(Saved(writer, name).Version)) writer.Sessions.Replace(name);
        else
            throw new LandmarkException(
                $"The session {MemoryDamage.Quote(name)} was saved by another since this one was opened; save this one by another name.");
        var all = Spelled();
        var whole = text.Count / landmark!.BlockTokens * landmark.BlockTokens;
        if (whole > 0) writer.Sessions.Append(name, Part(all, 0, whole), segment => SavedBlocks.Write(segment, (BlockMemory)memory, Opened));
        if (whole < text.Count) writer.Sessions.Append(name, Part(all, whole, text.Count), _ => { });
        writer.Sessions.Complete(name, opened.Versions);
        versions.Add(Saved(writer, name).Version);
        Name = name;
    }

    private static MemoryEntry Saved(MemoryFileWriter writer, string name) => writer.Sessions.All.Single(s => s.Name == name);

    /// <summary>What the session's own tokens spell. A character's bytes are those of its last token.</summary>
    private SegmentText Spelled()
    {
        var decoder = engine.Tokenizer.CreateDecoder(atStart: Opened == 0);
        var (starts, bytes) = (new int[text.Count], new List<byte>());
        for (var i = 0; i < text.Count; i++)
        {
            starts[i] = bytes.Count;
            bytes.AddRange(Encoding.UTF8.GetBytes(decoder.Push(text[i])));
        }
        bytes.AddRange(Encoding.UTF8.GetBytes(decoder.Flush()));
        return new SegmentText([.. text], starts, [.. bytes]);
    }

    private static SegmentText Part(SegmentText all, int first, int end)
    {
        var (start, stop) = (all.Start(first), all.Start(end));
        return new SegmentText(all.Tokens[first..end], [.. all.Starts[first..end].Select(s => s - start)], all.Text[start..stop]);
    }
}
