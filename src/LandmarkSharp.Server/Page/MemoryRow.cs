namespace LandmarkSharp.Server.Page;

/// <summary>A memory in the page's lists.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Documents">Documents that can be asked.</param>
public sealed record MemoryRow(string Name, int Documents);
