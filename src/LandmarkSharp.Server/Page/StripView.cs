namespace LandmarkSharp.Server.Page;

/// <summary>What the strip shows: the memories that are asked as their blocks.</summary>
/// <param name="Blocks">Blocks of all memories.</param>
/// <param name="Memories">The memories, in the order of their blocks.</param>
/// <param name="Documents">Their documents, in the order of their blocks.</param>
/// <param name="Shares">Blocks that the answer was read from so far, and their shares of its attention.</param>
/// <param name="Now">Those that the last token was read from, or the one that is looked at.</param>
public sealed record StripView(
    long Blocks, IReadOnlyList<StripPart> Memories, IReadOnlyList<StripPart> Documents, IReadOnlyList<BlockShare> Shares, IReadOnlyList<BlockShare> Now);

/// <summary>A memory or a document as a piece of the strip.</summary>
/// <param name="Name">Its name.</param>
/// <param name="First">Its first block.</param>
public sealed record StripPart(string Name, long First);

/// <summary>A block that was read.</summary>
/// <param name="Block">Its number, from 0.</param>
/// <param name="Share">Its share of the attention, a mean over tokens, layers and heads.</param>
public sealed record BlockShare(long Block, double Share);
