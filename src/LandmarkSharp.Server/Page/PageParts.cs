using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
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
/// <param name="Keys">The keys; null where there are none.</param>
/// <param name="Notes">Told of every answer.</param>
internal sealed record PageParts(
    LandmarkEngine Engine, string Model, IChatTemplate Template, Scheduler Scheduler, MemoryLibrary Library, ServerOptions Options, KeyRing? Keys,
    AnswerNotes Notes)
{
    /// <summary>Who has a page, which can be open longer than a key holds.</summary>
    /// <exception cref="RequestException">The key does not hold any more.</exception>
    public Caller CallerOf(string name) => Keys?.Find(name) ?? Caller.Local;
}
