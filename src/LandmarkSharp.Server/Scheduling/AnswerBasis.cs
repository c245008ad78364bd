using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>
/// What a request's answers are read from besides its prompts, how, and what is told of it. Used by one thread, and disposed with the
/// request.
/// </summary>
internal sealed class AnswerBasis : IDisposable
{
    private OpenMemory? part, numbering;                                                    // the same, of which numbers are asked after its end too
    private bool hasEnded;

    /// <summary>The model's name.</summary>
    public string Model { get; init; } = "";

    /// <summary>The memories that answers begin with; null for none.</summary>
    public MemoryLease? Memory { get; init; }

    /// <summary>How sessions read; null for as the engine does.</summary>
    public RetrievalOptions? Retrieval { get; init; }

    /// <summary>
    /// How many blocks of the memories are to be found first and then read alone, one number for all or one for each; null where that is not
    /// asked for.
    /// </summary>
    public IReadOnlyList<int>? Focus { get; init; }

    /// <summary>Whether blocks of long memories are found first though it is not asked for.</summary>
    public bool FindsUnasked { get; init; }

    /// <summary>How many blocks of the memories, which are open, are found first and then read alone; null for reading all.</summary>
    public IReadOnlyList<int>? Found =>
        Focus ?? (FindsUnasked && Memory is { } lease && MemoryFocus.Unasked(lease.Memory.Opened.Blocks) is { } blocks ? [blocks] : null);

    /// <summary>The session of the memories that is gone on with or begun, and kept; null for none.</summary>
    public NamedSession? Kept { get; init; }

    /// <summary>Each prompt as a text, which traces tell.</summary>
    public IReadOnlyList<string> Prompts { get; init; } = [];

    /// <summary>Of each prompt, what <see cref="Found"/> is found by.</summary>
    public IReadOnlyList<string> Questions { get; init; } = [];

    /// <summary>Passages of documents that come with an answer, the most read first.</summary>
    public int Passages { get; init; }

    /// <summary>Blocks of which a token's account may tell, k for each layer and query head; 0 where no account of what was read is asked for.</summary>
    public int TracedBlocks { get; init; }

    /// <summary>Whether the whole account of what was read comes with an answer.</summary>
    public bool Traces => TracedBlocks > 0;

    /// <summary>Whether sessions can go on from those of other requests, and others from them.</summary>
    public bool IsShared => Found is null && Kept is null;

    /// <summary>What sessions begin with, and how they read.</summary>
    public SessionStart Start => new(Memory?.Memory, Retrieval);

    /// <summary>Tokens at the end of the last document, with which a session's own text begins.</summary>
    public IReadOnlyList<int> Tail => Memory?.Memory.Opened.Tail ?? [];

    /// <summary>Finds the blocks that a prompt reads most.</summary>
    public void Read(LandmarkEngine engine, int prompt)
    {
        part?.Dispose();
        part = Start.Reading(engine).Focus(Memory!.Memory.Opened, Questions[prompt], Found!);
        numbering = part;
    }

    /// <summary>A session that begins with those alone, or the one that is kept.</summary>
    public Session Begin(LandmarkEngine engine) =>
        Kept is { } kept ? kept.Open(Start.Reading(engine), Memory!.Memory.Opened) : Start.Reading(engine).NewSession(part!);

    /// <summary>The number that a session's block has where all of the memories is read.</summary>
    public long NumberInWhole(long block) => numbering?.NumberInWhole(block) ?? block;

    /// <summary>What an answer was read from; null where nothing of it is asked for.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="session">The session, which has just answered.</param>
    /// <param name="prompt">Which prompt.</param>
    /// <param name="answer">The answer's tokens, where an account is asked for.</param>
    public AnswerSources? Sources(LandmarkEngine engine, Session session, int prompt, IReadOnlyList<GeneratedToken> answer)
    {
        if (Passages == 0 && !Traces) return null;
        List<ReadPassage> read = [];
        if (Memory is { } memory && Passages > 0)
        {
            var opened = part ?? memory.Memory.Opened;
            var end = opened.Blocks + (opened.Tail.Count > 0 ? 1 : 0);
            // The end of the last document may share a block with the question, which is read for that: after what is the documents' alone.
            BlockMass[] blocks = [.. session.Trace.Blocks.Where(b => b.Block < end).OrderBy(b => b.Block >= opened.Blocks).Take(Passages)];
            var passages = session.Passages(blocks.Select(b => b.Block)).ToDictionary(p => p.Block);
            read.AddRange(blocks.Select(b => memory.Of(passages[b.Block], b.Mass)).OfType<ReadPassage>());
        }
        // Where memories lie here is nobody's business.
        IReadOnlyList<Passage> Named(IEnumerable<long> blocks) =>
            [.. session.Passages(blocks).Select(p => p.File is { } file ? p with { File = MemoryShelf.NameOf(file) } : p)];
        var trace = !Traces ? null : TraceFile.Of(
            Start.Reading(engine), session, Model, answer, Named, Memory is null ? null : string.Join(", ", Memory.Names),
            Memory?.Memory.Opened.Documents.Sum(d => d.Tokens) ?? 0, Prompts[prompt], string.Concat(answer.Select(t => t.Text)));
        return new AnswerSources(read, trace);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (hasEnded) return;
        hasEnded = true;
        part?.Dispose();
        part = null;
        Memory?.Dispose();
    }
}

/// <summary>What an answer was read from.</summary>
/// <param name="Passages">The most read passages of documents, the most read first.</param>
/// <param name="Trace">The whole account, where it is asked for.</param>
internal sealed record AnswerSources(IReadOnlyList<ReadPassage> Passages, TraceFile? Trace);
