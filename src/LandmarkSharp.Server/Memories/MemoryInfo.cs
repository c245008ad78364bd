using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Memories;

/// <summary>A memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="BlockType">What keys and values are kept as.</param>
/// <param name="Bytes">Bytes of its file.</param>
/// <param name="Tokens">Tokens of its documents that can be asked.</param>
/// <param name="DocumentCount">How many can be asked.</param>
/// <param name="Documents">All its documents, those on their way among them; null in a list of memories.</param>
/// <param name="Model">The model that it belongs to.</param>
/// <param name="Error">Why it cannot be read, if it cannot.</param>
internal sealed record MemoryInfo(
    string Name, string Model, string? BlockType, long Bytes, long Tokens, int DocumentCount, IReadOnlyList<DocumentInfo>? Documents = null,
    string? Error = null)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "memory";
}

/// <summary>A caller's memories.</summary>
internal sealed record MemoryList(IReadOnlyList<MemoryInfo> Data)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "list";
}

/// <summary>A document of a memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="State">"ready", "receiving", "waiting", "reading" or "failed"; of one that is being replaced, that of what takes its place.</param>
/// <param name="Tokens">Tokens of what can be asked now; null while nothing can.</param>
/// <param name="Bytes">Bytes of its text.</param>
/// <param name="Reading">How far its reading is.</param>
/// <param name="Error">Why it failed.</param>
internal sealed record DocumentInfo(string Name, string State, long? Tokens, long? Bytes, ReadingProgress? Reading = null, string? Error = null)
{
    /// <summary>The state of one that has been read.</summary>
    public const string Ready = "ready";

    /// <summary>Whether nothing is to happen to it any more.</summary>
    internal bool IsSettled => State is Ready or "failed";
}

/// <summary>An upload.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Document">The document that it is of.</param>
/// <param name="Bytes">Bytes that it will have.</param>
/// <param name="Offset">Those of them that are there.</param>
/// <param name="State">"receiving", until all are there; then that of the document.</param>
/// <param name="Error">Why it failed.</param>
internal sealed record UploadInfo(string Id, string Document, long Bytes, long Offset, string State, string? Error = null);
