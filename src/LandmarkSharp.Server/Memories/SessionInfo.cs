using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Memories;

/// <summary>A session that is kept in a memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Memory">The memory in which it is kept.</param>
/// <param name="Tokens">Tokens that it read and generated after the documents.</param>
/// <param name="From">The session that it went on from by another name; null where it did from none.</param>
/// <param name="Documents">Names of the documents that it had read, in their order; null where that was not kept.</param>
/// <param name="Text">What its tokens spell; null in a list and with an answer.</param>
/// <param name="Changes">With an answer, how the documents that were read differ from those that it had read; null where they do not.</param>
internal sealed record SessionInfo(
    string Name, string Memory, long Tokens, string? From, IReadOnlyList<string>? Documents, string? Text = null, string? Changes = null)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "memory.session";
}

/// <summary>A memory's sessions.</summary>
internal sealed record SessionList(IReadOnlyList<SessionInfo> Data)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "list";
}
