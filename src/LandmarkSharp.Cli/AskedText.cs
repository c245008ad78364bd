using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Cli;

/// <summary>What a question is asked about.</summary>
internal abstract class AskedText : IDisposable
{
    /// <summary>What it is called in a trace; null for standard input.</summary>
    public abstract string? Name { get; }

    /// <summary>Its tokens, when the session has begun.</summary>
    public long Tokens { get; protected set; }

    /// <summary>Blocks that were found first, of which alone the session has read; null for all of the text.</summary>
    public virtual long? Found => null;

    /// <summary>Whether it is several memories.</summary>
    public virtual bool IsSeveral => false;

    /// <summary>The engine as it reads questions about this.</summary>
    public virtual LandmarkEngine Reading(LandmarkEngine engine) => engine;

    /// <summary>A session that has read it.</summary>
    public abstract Session Begin(LandmarkEngine engine, Output output, CancellationToken cancel);

    /// <summary>Blocks as passages.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="session">The session.</param>
    /// <param name="blocks">The blocks.</param>
    /// <param name="placed">Whether their places in bytes are wanted.</param>
    public abstract IReadOnlyList<Passage> Passages(LandmarkEngine engine, Session session, IEnumerable<long> blocks, bool placed);

    /// <summary>Whether a passage reaches past the text's end, into what was asked.</summary>
    public abstract bool IsBeyond(Passage passage);

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>A text that is read now.</summary>
/// <param name="path">Its file; null for standard input.</param>
internal sealed class ReadText(string? path) : AskedText
{
    private readonly PlacedText source = new(path);

    public override string? Name => TextInput.IsFile(path) ? path : null;

    public override Session Begin(LandmarkEngine engine, Output output, CancellationToken cancel)
    {
        TextInput.RequireRoom(engine, path);
        var session = engine.NewSession();
        try
        {
            output.Progress("Reading", TextInput.TokensAbout(path), progress =>
            {
                session.Append(source.Reader, progress, cancel);
                return 0;
            });
            Tokens = session.Tokens.Count;
            if (Tokens == 0) throw new LandmarkException("The text is empty; give a text to ask about.");
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    public override IReadOnlyList<Passage> Passages(LandmarkEngine engine, Session session, IEnumerable<long> blocks, bool placed) =>
        placed ? source.Passages(engine, session.Tokens, (int)Tokens, blocks) : session.Passages(blocks);

    public override bool IsBeyond(Passage passage) => passage.FirstToken + passage.Tokens > Tokens;

    public override void Dispose() => source.Dispose();
}

/// <summary>Memory files, in which documents were read before.</summary>
/// <param name="paths">The files.</param>
/// <param name="hotBytes">Bytes of blocks that are kept in memory; null for as many as the system likes.</param>
/// <param name="part">Picks what of the open memory is read; gives null for all.</param>
/// <param name="begin">Begins a session with the open memory.</param>
internal sealed class ReadMemory(
    IReadOnlyList<string> paths, long? hotBytes, Func<LandmarkEngine, OpenMemory, OpenMemory?> part, Func<LandmarkEngine, OpenMemory, Session> begin)
    : AskedText
{
    private OpenMemory? memory, picked;

    public override string Name => string.Join(", ", paths);

    public override long? Found => picked?.Blocks;

    public override bool IsSeveral => paths.Count > 1;

    /// <summary>Refuses files that are none before a model is loaded.</summary>
    /// <exception cref="LandmarkException">One is none, or is given twice.</exception>
    public static void Check(IReadOnlyList<string> paths)
    {
        foreach (var path in paths) MemoryFile.Open(path).Dispose();
        if (paths.CountBy(Path.GetFullPath).FirstOrDefault(p => p.Value > 1) is { Key: { } twice })
            throw new LandmarkException($"The memory file {twice} is given twice; give each once.");
    }

    /// <inheritdoc cref="Check"/>
    public ReadMemory Checked()
    {
        Check(paths);
        return this;
    }

    public override LandmarkEngine Reading(LandmarkEngine engine) => engine.With(engine.MemoryRetrieval());

    public override Session Begin(LandmarkEngine engine, Output output, CancellationToken cancel)
    {
        memory = engine.OpenMemory(paths, hotBytes);
        Tokens = memory.Documents.Sum(d => d.Tokens);
        picked = part(engine, memory);
        return begin(engine, picked ?? memory);
    }

    public override IReadOnlyList<Passage> Passages(LandmarkEngine engine, Session session, IEnumerable<long> blocks, bool placed) =>
        session.Passages(blocks);

    public override bool IsBeyond(Passage passage) =>
        passage.Document is null
        || (passage.Document == memory!.Documents[^1].Name && passage.File == paths[^1] && passage.FirstToken + passage.Tokens > memory.Documents[^1].Tokens);

    public override void Dispose()
    {
        picked?.Dispose();
        memory?.Dispose();
    }
}
