namespace LandmarkSharp.Generation;

/// <content>What is read of a memory's documents.</content>
public sealed partial class Session
{
    /// <summary>Ranks the documents of the memory with which the session began by what the last answer was read from.</summary>
    /// <param name="passages">Passages of each document that are told, the most read first.</param>
    /// <returns>Documents of which something was read, the most read first.</returns>
    /// <exception cref="LandmarkException">The session began without a memory, or a document's text is damaged.</exception>
    public IReadOnlyList<RankedDocument> Rank(int passages = 3)
    {
        if (opened is null) throw new LandmarkException("The session began without a memory, so there are no documents to rank; begin it with one.");
        IReadOnlyList<int> tail = text.Take(opened.Tail.Count).SequenceEqual(opened.Tail) ? opened.Tail : [];
        return MemorySearch.Ranked(engine, opened, tail, Trace.Blocks, passages);
    }

    /// <summary>Computes what waits, but for the last positions.</summary>
    internal void ComputeAllBut(int positions, CancellationToken cancel)
    {
        while (waiting.Count > positions)
        {
            cancel.ThrowIfCancellationRequested();
            Run(Math.Min(memory.Room, waiting.Count - positions));
        }
    }

    /// <summary>Computes all that waits, and tells what the last positions read; fewer if there are no more.</summary>
    internal TokenReads ReadsOfLast(int positions, CancellationToken cancel)
    {
        ComputeAllBut(positions, cancel);
        var recorder = new ReadRecorder(engine.Config.Layers, engine.Config.Heads);
        recorder.Begin(((Memory.BlockMemory)memory).InMemory);
        RunWatched(recorder.Add);
        return recorder.Take();
    }
}
