using LandmarkSharp.Generation;
using LandmarkSharp.Memory;

namespace LandmarkSharp.Server.Memories;

/// <summary>A session of a memory that a request goes on with or begins. Nobody else does until it is disposed, with the request.</summary>
/// <param name="all">The caller's sessions.</param>
/// <param name="held">Keeps others from it.</param>
/// <param name="memory">The name of the memory in which it is kept.</param>
/// <param name="name">Its name.</param>
/// <param name="fork">The name by which what becomes of it is kept; null for its own.</param>
/// <param name="tokens">Tokens that it has; null where it is begun.</param>
internal sealed class NamedSession(MemorySessions all, IDisposable held, string memory, string name, string? fork, long? tokens) : IDisposable
{
    private readonly Lock guard = new();
    private (Session Session, MemoryLease Memory)? answered;
    private bool isDisposed;

    /// <summary>The name of the memory in which it is kept.</summary>
    public string Memory => memory;

    /// <summary>Its name.</summary>
    public string Name => name;

    /// <summary>The name by which what becomes of it is kept; null for its own.</summary>
    public string? Fork => fork;

    /// <summary>Tokens that it has; null where it is begun.</summary>
    public long? Tokens => tokens;

    /// <summary>It as the request begins with it. On the thread that computes.</summary>
    public Session Open(LandmarkEngine engine, OpenMemory opened) => all.Open(this, engine, opened);

    /// <summary>Takes it when it has answered, to be kept.</summary>
    /// <param name="session">The session.</param>
    /// <param name="with">The claim on the memory that it began with, which is given back with it.</param>
    public void Answered(Session session, MemoryLease with)
    {
        lock (guard)
        {
            answered = (session, with);
            if (isDisposed) Drop();
        }
    }

    /// <summary>Keeps it, and leaves it to others.</summary>
    /// <inheritdoc cref="MemorySessions.Keep"/>
    public async Task<SessionInfo> Keep()
    {
        try
        {
            return await all.Keep(this, answered!.Value.Session);
        }
        finally
        {
            Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (guard)
        {
            if (isDisposed) return;
            isDisposed = true;
            Drop();
        }
        held.Dispose();
    }

    private void Drop()
    {
        if (answered is { } there) all.Drop(there.Session, there.Memory);
        answered = null;
    }
}
