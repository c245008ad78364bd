using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Page;

/// <summary>What the page works with.</summary>
/// <param name="Engine">The model.</param>
/// <param name="Model">Its name.</param>
/// <param name="Template">How it is told a conversation.</param>
/// <param name="Scheduler">Computes.</param>
/// <param name="Library">The memories.</param>
/// <param name="Options">How much is taken on.</param>
internal sealed record PageParts(
    LandmarkEngine Engine, string Model, IChatTemplate Template, Scheduler Scheduler, MemoryLibrary Library, ServerOptions Options);
