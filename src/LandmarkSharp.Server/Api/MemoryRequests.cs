using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Api;

/// <summary>A request to make a memory.</summary>
internal sealed class MemoryRequest
{
    /// <summary>Its name.</summary>
    public string? Name { get; set; }

    /// <summary>What keys and values are kept as.</summary>
    public string? BlockType { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}

/// <summary>A request to upload a document in pieces.</summary>
internal sealed class UploadRequest
{
    /// <summary>Its name.</summary>
    public string? Document { get; set; }

    /// <summary>Bytes that it will have.</summary>
    public long? Bytes { get; set; }

    /// <summary>Their hash, in hexadecimal.</summary>
    public string? Sha256 { get; set; }

    /// <summary>What it is.</summary>
    public string? MediaType { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}

/// <summary>A request to give a session another name.</summary>
internal sealed class SessionRequest
{
    /// <summary>The other name.</summary>
    public string? Name { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}

/// <summary>A question by which documents are ranked.</summary>
internal sealed class SearchRequest
{
    /// <summary>The question, or the beginning of a sentence.</summary>
    public string? Query { get; set; }

    /// <summary>Documents that are told.</summary>
    public int? Top { get; set; }

    /// <summary>Passages of each.</summary>
    public int? Passages { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}

/// <summary>Documents, the most read first.</summary>
internal sealed record SearchResponse(IReadOnlyList<Memories.FoundDocument> Data)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; } = "list";
}
