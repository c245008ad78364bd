using LandmarkSharp.Generation;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// Opens long memories that are likely to be asked, and has a question of which nobody hears look for blocks in them, so that the first who
/// asks does not wait for what that takes once.
/// </summary>
internal static class MemoryPreparation
{
    /// <summary>
    /// Begins it. Memories for which there is no room beside those that are open are let be, those that documents are being read into, and
    /// short ones, where it takes little.
    /// </summary>
    /// <param name="shelf">Where the memories are.</param>
    /// <param name="parts">What computes and what is open.</param>
    /// <param name="names">Those that would be asked together.</param>
    public static void Begin(MemoryShelf shelf, LibraryParts parts, IReadOnlyList<string> names)
    {
        try
        {
            if (names.Any(shelf.Queue.IsReading)) return;
            using (var texts = shelf.Texts(names))
                if (MemoryFocus.Unasked(texts.Blocks) is null) return;
            var lease = shelf.Lease(names);
            var engine = parts.Engine.With(parts.Engine.MemoryRetrieval());
            var job = new TurnJob<bool>(shelf.Caller.Name, () => Find(engine, lease), parts.Stopping, lease) { IsForLater = true };
            _ = job.Result.ContinueWith(
                ended =>
                {
                    _ = ended.Exception;                                                    // the server is stopping
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

    /// <summary>Looks for blocks, unless somebody has, or there are other documents by now.</summary>
    /// <returns>Whether it did.</returns>
    private static bool Find(LandmarkEngine engine, MemoryLease lease)
    {
        try
        {
            if (lease.IsClosed || lease.Memory.Opened.IsSearched) return false;
            engine.Focus(lease.Memory.Opened, "What is this about?", MemoryFocus.Blocks).Dispose();
            return true;
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            return false;                                                                   // whoever asks is told
        }
    }
}
