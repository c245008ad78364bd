namespace LandmarkSharp.Server.Page;

/// <summary>Where a file goes that a browser is about to send.</summary>
/// <param name="Memory">The memory.</param>
/// <param name="Type">The file's media type.</param>
public sealed record FilePlace(string Memory, string Type);
