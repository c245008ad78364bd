using System.Collections.Concurrent;

namespace LandmarkSharp.Server.Memories;

/// <summary>One caller's documents on their way: read one after the other, in the order in which they were there. For any number of threads.</summary>
/// <param name="folder">Where they are kept until they have been read.</param>
/// <param name="reader">Reads them.</param>
/// <param name="shelf">Where they go to.</param>
/// <param name="log">Told of failures.</param>
internal sealed class DocumentQueue(string folder, DocumentReader reader, MemoryShelf shelf, ServerLog log)
{
    private const int Most = 10_000;

    private static readonly TimeSpan Stale = TimeSpan.FromDays(1), Quiet = TimeSpan.FromSeconds(1);

    private readonly List<Incoming> all = [];                                               // guards all below
    private readonly ConcurrentDictionary<string, SemaphoreSlim> gates = new();             // one at a time writes a memory
    private readonly ConcurrentDictionary<string, Incoming> newest = new();                 // that was just read, of each memory
    private Incoming? current;
    private Task reading = Task.CompletedTask;
    private bool isReading, isStopping;

    /// <summary>Goes on with what an earlier process left; what came in one request and is not whole is gone.</summary>
    public void Resume()
    {
        lock (all)
        {
            foreach (var left in Incoming.Left(folder))
            {
                if (IsStale(left) || (left.State == IncomingState.Receiving && left.Record.Bytes is null)) left.Remove();
                else all.Add(left);
            }
            Begin();
        }
    }

    /// <summary>Puts one in the queue's books, before it is whole. Those that nobody has gone on with for a day go.</summary>
    /// <exception cref="RequestException">Too many are on their way.</exception>
    public Incoming Add(IncomingRecord record)
    {
        lock (all)
        {
            foreach (var old in all.Where(IsStale).ToArray()) Drop(old);
            if (all.Count >= Most)
                throw new RequestException(
                    StatusCodes.Status429TooManyRequests, $"{Most:N0} documents are on their way; send more when some have been read.",
                    code: "too_many_documents");
            var incoming = Incoming.Begin(folder, record);
            all.Add(incoming);
            return incoming;
        }
    }

    /// <summary>One of an id; null where there is none.</summary>
    public Incoming? Find(string memory, string id)
    {
        lock (all) return all.Find(i => i.Record.Id == id && i.Record.Memory == memory);
    }

    /// <summary>The newest of each document of a memory that is to be read, or could not be.</summary>
    public IReadOnlyList<Incoming> Of(string memory)
    {
        lock (all)
            return [.. all.Where(i => i.Record.Memory == memory).GroupBy(i => i.Record.Document)
                .Select(g => g.MaxBy(i => (i.State != IncomingState.Receiving, i.Record.Began))!)];
    }

    /// <summary>Whether a document is being read into a memory, or is about to be.</summary>
    public bool IsReading(string memory)
    {
        lock (all) return all.Exists(i => i.Record.Memory == memory && (i.State is IncomingState.Waiting or IncomingState.Reading));
    }

    /// <summary>Has one read, whose text is there, in place of what was to be read by its name.</summary>
    public void Ready(Incoming incoming)
    {
        lock (all)
        {
            var (memory, document) = (incoming.Record.Memory, incoming.Record.Document);
            foreach (var old in all.Where(i => i != incoming && i.State != IncomingState.Receiving && IsOf(i, memory, document)).ToArray()) Drop(old);
            incoming.State = IncomingState.Waiting;
            Begin();
        }
    }

    /// <summary>Gives up what is on its way to a memory.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="document">The document alone; null for all.</param>
    /// <returns>Whether there was any.</returns>
    public bool Remove(string memory, string? document = null)
    {
        lock (all)
        {
            var found = all.Where(i => IsOf(i, memory, document)).ToArray();
            foreach (var incoming in found) Drop(incoming);
            return found.Length > 0;
        }
    }

    /// <summary>Gives one up.</summary>
    public void Remove(Incoming incoming)
    {
        lock (all) Drop(incoming);
    }

    /// <summary>Has nothing read into a memory until what is returned is disposed; what is being read goes on then.</summary>
    public async Task<IDisposable> Hold(string memory)
    {
        var gate = Gate(memory);
        var entered = gate.WaitAsync();                                                     // before the one that is there leaves
        lock (all)
            if (current?.Record.Memory == memory) current.Interrupt();
        await entered;
        return new Held(gate);
    }

    /// <summary>Reads no more; what is being read goes on when the server is back.</summary>
    public Task Stop()
    {
        lock (all)
        {
            isStopping = true;
            current?.Interrupt();
            return reading;
        }
    }

    private static bool IsStale(Incoming incoming) =>
        incoming.State is IncomingState.Receiving or IncomingState.Failed && incoming.Changed < DateTimeOffset.UtcNow - Stale;

    private static bool IsOf(Incoming incoming, string memory, string? document) =>
        incoming.Record.Memory == memory && (document is null || incoming.Record.Document == document);

    private SemaphoreSlim Gate(string memory) => gates.GetOrAdd(memory, _ => new SemaphoreSlim(1));

    private void Drop(Incoming incoming)
    {
        incoming.Remove();
        all.Remove(incoming);
    }

    private void Begin()
    {
        if (isReading || isStopping) return;
        isReading = true;
        reading = Task.Run(ReadAll);
    }

    private Incoming? Next()
    {
        lock (all)
        {
            current = isStopping ? null : all.Where(i => i.State == IncomingState.Waiting).MinBy(i => i.Record.Began);
            if (current is null) isReading = false;
            else current.State = IncomingState.Reading;
            return current;
        }
    }

    private async Task ReadAll()
    {
        while (Next() is { } next)
        {
            var gate = Gate(next.Record.Memory);
            await gate.WaitAsync();
            try
            {
                if (next.IsRemoved) continue;
                await shelf.Read(reader, next);
                Remove(next);
                _ = Prepare(next);
            }
            catch (Exception e) when (e is OperationCanceledException || DocumentReader.IsStopping(e))
            {
                lock (all)
                {
                    isStopping |= DocumentReader.IsStopping(e);
                    if (!next.IsRemoved) next.Wait();
                }
            }
            catch (Exception e)
            {
                if (e is not (LandmarkException or RequestException)) log.ReadingFailed(e);
                lock (all)
                    if (!next.IsRemoved) next.Fail(shelf.Told(e));
            }
            finally
            {
                gate.Release();
            }
        }
    }

    /// <summary>Has a memory made ready for questions when no other document comes: who adds many does not ask meanwhile.</summary>
    private async Task Prepare(Incoming read)
    {
        var memory = read.Record.Memory;
        newest[memory] = read;
        await Task.Delay(Quiet);
        if (newest.TryRemove(KeyValuePair.Create(memory, read))) shelf.Prepare([memory]);
    }

    private sealed class Held(SemaphoreSlim gate) : IDisposable
    {
        public void Dispose() => gate.Release();
    }
}
