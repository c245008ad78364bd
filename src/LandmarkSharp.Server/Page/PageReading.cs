using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Page;

/// <summary>How much of the memories an answer is read from.</summary>
public enum ReadingWay
{
    /// <summary>Blocks that the question is most about are found first, and each token is read from some of these.</summary>
    Found,

    /// <summary>Each token is read from some blocks of all.</summary>
    Retrieved,

    /// <summary>Each token is read from all blocks.</summary>
    Exact,
}

/// <summary>How answers are read.</summary>
/// <param name="TopK">Blocks that each token is read from, k; null for as many as where programs do not say.</param>
/// <param name="Focus">Blocks that are found first.</param>
/// <param name="Chosen">The way; null for the one that suits the memory's length.</param>
public sealed record PageReading(int? TopK = null, int Focus = MemoryFocus.Blocks, ReadingWay? Chosen = null)
{
    /// <summary>How memories of so many blocks are read.</summary>
    public ReadingWay Way(long blocks) => Chosen switch
    {
        { } chosen when chosen != ReadingWay.Exact || WhyNotExact(blocks) is null => chosen,
        _ => MemoryFocus.Unasked(blocks) is null ? ReadingWay.Retrieved : ReadingWay.Found,
    };

    /// <summary>Why not all of so many blocks can be read; null where they can.</summary>
    public static string? WhyNotExact(long blocks) => blocks == 0 ? "There is nothing to read yet."
        : blocks > PageAnswers.MostExact
            ? $"With more than {PageAnswers.MostExact:N0} blocks, of which there are {blocks:N0}, to read all for each token would take too long."
            : null;
}
