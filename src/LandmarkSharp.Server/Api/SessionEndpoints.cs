using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Api;

/// <summary>Sessions of memories over HTTP; answers begin them and go on with them.</summary>
/// <param name="library">The memories.</param>
internal sealed class SessionEndpoints(MemoryLibrary library)
{
    /// <summary>Puts them in place.</summary>
    /// <param name="memories">Where memories are.</param>
    public void Map(IEndpointRouteBuilder memories)
    {
        var all = memories.MapGroup("/{name}/sessions");
        all.MapGet("", (HttpContext http, string name) => TypedResults.Json(Sessions(http).All(name), Protocol.Json.SessionList))
            .Produces<SessionList>().WithSummary("Lists the sessions that are kept in a memory.");
        all.MapGet("/{session}", (HttpContext http, string name, string session) =>
            TypedResults.Json(Sessions(http).Describe(name, MemoryNames.Unescaped(session)), Protocol.Json.SessionInfo))
            .Produces<SessionInfo>().WithSummary("Tells of a session, with its text.");
        all.MapPatch("/{session}", Rename).Accepts<SessionRequest>("application/json").Produces<SessionInfo>().WithSummary("Gives a session another name.");
        all.MapDelete("/{session}", Remove).Produces(StatusCodes.Status204NoContent).WithSummary("Removes a session.");
    }

    private MemorySessions Sessions(HttpContext http) => library.Of(Caller.Of(http)).Sessions;

    private async Task<IResult> Rename(HttpContext http, string name, string session, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.SessionRequest, cancel);
        NeutralFields.Check(request.Others);
        return TypedResults.Json(await Sessions(http).Rename(name, MemoryNames.Unescaped(session), request.Name), Protocol.Json.SessionInfo);
    }

    private async Task<IResult> Remove(HttpContext http, string name, string session)
    {
        await Sessions(http).Remove(name, MemoryNames.Unescaped(session));
        return TypedResults.NoContent();
    }
}
