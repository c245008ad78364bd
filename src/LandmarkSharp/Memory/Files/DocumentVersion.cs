namespace LandmarkSharp.Memory.Files;

/// <summary>A document as a session read it: replaced or added again, it is another version.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Check">The hash of its segments' hashes, which are of all that it holds.</param>
public sealed record DocumentVersion(string Name, ulong Check);
