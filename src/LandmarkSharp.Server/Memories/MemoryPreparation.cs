using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// Opens long memories that are likely to be asked, and has a question of which nobody hears look for blocks in them, so that the first who
/// asks does not wait for what that takes once.
/// </summary>
internal static class MemoryPreparation
{
    /// <summary>Begins it. Memories for which there is no room are let be, and short ones, where it takes little.</summary>
    /// <param name="shelf">Where the memories are.</param>
    /// <param name="parts">What computes and what is open.</param>
    /// <param name="names">Those that would be asked together.</param>
    public static void Begin(MemoryShelf shelf, LibraryParts parts, IReadOnlyList<string> names)
    {
        try
        {
            using (var texts = shelf.Texts(names))
                if (MemoryFocus.Unasked(texts.Blocks) is null) return;
            var lease = shelf.Lease(names);
            var engine = parts.Engine.With(parts.Engine.MemoryRetrieval());
            var job = new TurnJob<bool>(shelf.Caller.Name, () => Find(engine, lease.Memory.Opened), parts.Stopping, lease) { IsForLater = true };
            _ = job.Result.ContinueWith(
                ended =>
                {
                    _ = ended.Exception;
                    lease.Dispose();
                },
                TaskScheduler.Default);
            try
            {
                parts.Scheduler.Submit(job);
            }
            catch
            {
                job.Fail(null);
                throw;
            }
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            // Whoever asks is told.
        }
    }

    /// <summary>Looks for blocks, unless somebody has.</summary>
    private static bool Find(LandmarkEngine engine, OpenMemory memory)
    {
        if (memory.Searches.IsKept) return false;
        engine.Focus(memory, "What is this about?", MemoryFocus.Blocks).Dispose();
        return true;
    }
}
