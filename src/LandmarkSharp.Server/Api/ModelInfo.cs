namespace LandmarkSharp.Server.Api;

/// <summary>The model that is served.</summary>
internal sealed record ModelInfo(string Id, string Object, long Created, string OwnedBy);

/// <summary>All models: one.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelInfo> Data);

/// <summary>Whether the server takes requests, and how busy it is.</summary>
/// <param name="Status">"ok", or "stopping".</param>
/// <param name="Active">Requests that are computed.</param>
/// <param name="Waiting">Requests that wait.</param>
/// <param name="CachedBytes">Bytes of keys and values kept of earlier texts.</param>
internal sealed record Health(string Status, int Active, int Waiting, long CachedBytes);
