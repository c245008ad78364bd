using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>What a session begins with, how it reads and whom it serves: only sessions that are alike in all can go on from each other.</summary>
/// <param name="Memory">The memory that it begins with; null for none.</param>
/// <param name="Retrieval">How it reads; null for as the engine does.</param>
/// <param name="Owner">Who asks; null for anyone.</param>
internal readonly record struct SessionStart(SharedMemory? Memory, RetrievalOptions? Retrieval, string? Owner = null)
{
    /// <summary>The engine that reads so.</summary>
    public LandmarkEngine Reading(LandmarkEngine engine) => Retrieval is { } retrieval ? engine.With(retrieval) : engine;

    /// <summary>A session that has read nothing else.</summary>
    public Session Begin(LandmarkEngine engine) =>
        Memory is { } memory ? Reading(engine).NewSession(memory.Opened) : Reading(engine).NewSession();
}
