using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Server.Memories;

/// <summary>Reads documents into memory files as <c>landmark memory add</c> does, to the bit; the scheduler has its turns.</summary>
/// <param name="engine">The model.</param>
/// <param name="scheduler">Computes.</param>
/// <param name="open">Told of files that have become others.</param>
internal sealed class DocumentReader(LandmarkEngine engine, Scheduler scheduler, OpenMemories open)
{
    private const long CompactedFrom = 1 << 20;                                             // bytes that are free: less is not worth it

    // As the model's configuration says, whatever options answers are read with.
    private readonly LandmarkEngine reading = engine.With(engine.Config.Landmark!.Retrieval());

    /// <summary>The model that memories belong to.</summary>
    public MemoryModel Model { get; } = engine.MemoryModel();

    /// <summary>What reads into a file.</summary>
    /// <exception cref="LandmarkException">The model cannot read into it.</exception>
    public MemoryMaker Maker(MemoryFileWriter writer, long? hotBytes = null) => new(reading, writer) { HotBytes = hotBytes };

    /// <summary>Reads a document; one that is there already of the same text is left as it is.</summary>
    /// <param name="caller">Whose it is.</param>
    /// <param name="incoming">The document.</param>
    /// <param name="path">The memory file.</param>
    /// <param name="hotBytes">Bytes of blocks that are kept in RAM meanwhile; null for as many as the system likes.</param>
    /// <param name="fileBytes">Bytes that the file may have; null for any.</param>
    /// <exception cref="OperationCanceledException">It was interrupted; what was committed stays, and it goes on from there.</exception>
    /// <exception cref="RequestException">There is no room for it, its owner has no tokens left for today, or the server is stopping.</exception>
    /// <exception cref="LandmarkException">The document or the file cannot be read, or the disk refuses.</exception>
    public async Task Read(Caller caller, Incoming incoming, string path, long? hotBytes, long? fileBytes)
    {
        using var writer = MemoryFileWriter.Open(path, Model);
        var (maker, name, spent) = (Maker(writer, hotBytes), incoming.Record.Document, 0L);
        using (var text = TextFile.Open(incoming.TextPath))
            if (maker.Has(name, text))
                return;
        try
        {
            using var text = TextFile.Open(incoming.TextPath);
            using var steps = maker.Steps(name, text, replace: true, incoming.Interrupted).GetEnumerator();
            steps.MoveNext();                                                               // compares what is there, which others need not wait for
            incoming.Tell(steps.Current);
            var job = new ReadingJob(caller.Name, steps, Tell, incoming.Interrupted);
            scheduler.Submit(job);
            await job.Ended;
        }
        catch (Exception e) when (e is LandmarkException || (e is RequestException && !IsStopping(e)))
        {
            writer.Rollback();
            if (writer.Documents.Contains(name)) writer.Documents.Abandon(name);
            writer.Commit();
            Compact(writer, path);
            throw;
        }
        writer.Commit();
        Compact(writer, path);

        void Tell(MemoryProgress told)
        {
            if (told.NewTokens > spent) caller.Spend((int)(told.NewTokens - spent));
            spent = told.NewTokens;
            if (new FileInfo(path).Length > fileBytes)
                throw new RequestException(
                    StatusCodes.Status507InsufficientStorage,
                    "There is no room for this document among the memories of its owner; remove others, and send it again.",
                    code: "insufficient_storage");
            incoming.Tell(told);
        }
    }

    /// <summary>Removes a document.</summary>
    /// <returns>Whether it was there.</returns>
    public bool Remove(string path, string name)
    {
        using var writer = MemoryFileWriter.Open(path, Model);
        if (!writer.Documents.Contains(name)) return false;
        writer.Documents.Remove(name);
        writer.Commit();
        Compact(writer, path);
        return true;
    }

    /// <summary>About how many bytes a token of a document takes in a memory file (docs/memory-making.md).</summary>
    public double BytesPerToken(ScalarType type)
    {
        const int page = 4096;
        var head = Model.BlockTokens * (Model.HeadDim * type.ElementSize() + (type == ScalarType.Int8 ? sizeof(float) : 0));
        var block = (2 * Model.Heads * head + page - 1) / page * page;
        return ((double)Model.Layers * (block + Model.Heads * (Model.HeadDim * sizeof(float) + sizeof(ulong))) / Model.BlockTokens) + 12;
    }

    /// <summary>Whether this is no fault of a document: it is read when the server is back.</summary>
    public static bool IsStopping(Exception e) => e is RequestException { Code: "stopping" };

    /// <summary>Frees what was removed when it is more than what is used, unless another program writes the file.</summary>
    public void Compact(string path)
    {
        try
        {
            using (var file = MemoryFile.Open(path, Model))
                if (!IsWasteful(file)) return;
            using var writer = MemoryFileWriter.Open(path, Model);
            Compact(writer, path);
        }
        catch (LandmarkException)
        {
            // Later, then.
        }
    }

    private static bool IsWasteful(MemoryFile file) => file.Bytes - (2 * file.UsedBytes) >= CompactedFrom;

    private void Compact(MemoryFileWriter writer, string path)
    {
        using (var file = MemoryFile.Open(path, Model))
            if (!IsWasteful(file)) return;
        try
        {
            writer.Compact();
        }
        catch (LandmarkException)
        {
            return;                                                                         // the disk has no room for both: later, then
        }
        open.Close(path);                                                                   // or the old file's space stays taken
    }
}
