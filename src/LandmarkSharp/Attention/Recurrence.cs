namespace LandmarkSharp.Attention;

/// <summary>
/// How a Transformer-XL (Dai et al., 2019) reads, with which the paper compares landmarks (landmark-attention.md 2.5): a text is
/// cut into windows at fixed places, and a query sees its window up to itself and the last positions before that window. Their
/// keys and values are kept from when they were computed themselves, so what lies further back is known through them alone.
/// </summary>
public sealed record Recurrence
{
    /// <summary>Positions of a window.</summary>
    public int Window { get; init; } = 256;

    /// <summary>Positions before a window that its queries see.</summary>
    public int Cache { get; init; } = 256;
}
