using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Server.Memories;

/// <summary>Memories that are open together, or are being opened: one for all requests that ask them as they are. Guarded by who keeps it.</summary>
/// <param name="caller">Whose they are.</param>
/// <param name="paths">Their files.</param>
/// <param name="versions">The documents that are to be in them.</param>
/// <param name="bytes">Bytes of their landmark keys, and of an index over them.</param>
internal sealed class OpenEntry(string caller, IReadOnlyList<string> paths, IReadOnlyList<DocumentVersion> versions, long bytes)
{
    /// <summary>Whose they are.</summary>
    public string Caller => caller;

    /// <summary>Their files.</summary>
    public IReadOnlyList<string> Paths => paths;

    /// <summary>The documents in them.</summary>
    public IReadOnlyList<DocumentVersion> Versions => versions;

    /// <summary>Bytes of their landmark keys, and of an index over them.</summary>
    public long Bytes => bytes;

    /// <summary>Ends when they are open, with nothing where other documents were in the files by then.</summary>
    public Task<SharedMemory?> Opening { get; set; } = Task.FromResult<SharedMemory?>(null);

    /// <summary>Requests that have them.</summary>
    public int Leases { get; set; }

    /// <summary>Whether no more requests get them.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Whether they have been let go of.</summary>
    public bool IsGone { get; set; }

    /// <summary>Whether nobody has them, so that they may be closed.</summary>
    public bool IsIdle => Leases == 0 && Opening.IsCompleted;

    /// <summary>Whether it is of these files.</summary>
    public bool IsOf(IReadOnlyList<string> others) => paths.SequenceEqual(others);
}
