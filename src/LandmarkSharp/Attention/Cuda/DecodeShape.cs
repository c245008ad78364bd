using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>How one layer's step of some sequences is laid over the device by <c>landmark_decode.cu</c>.</summary>
/// <param name="Heads">Query heads, H.</param>
/// <param name="Groups">Key-value heads, G.</param>
/// <param name="Selection">Who shares a choice.</param>
/// <param name="TopK">Blocks that the sequence with the largest memory reads, k'.</param>
/// <param name="MostInMemory">Blocks before that sequence's window.</param>
/// <param name="WindowBlocks">Blocks of the longest window, the unfinished one counted.</param>
/// <param name="Sequences">Sequences of a launch.</param>
internal sealed record DecodeShape(
    int Heads, int Groups, SelectionMode Selection, int TopK, int MostInMemory, int WindowBlocks, int Sequences)
{
    /// <summary>Sequences that a launch takes at most: they are passed by value.</summary>
    public const int MostSequences = 16;

    private const int MostTokens = 256, MostTopK = 256, MostWindowBlocks = 256, WidestHead = 256, HeadStep = 8;
    private const int MostSharedHeads = 8;      // their queries lie in registers
    private const int ScanRows = 32;            // landmarks that a thread block of the scan takes at a time, about
    private const int ScanBlocks = 4;           // of its thread blocks a multiprocessor holds at once, about

    /// <summary>Heads that share a choice.</summary>
    public int ChosenHeads => Selection switch
    {
        SelectionMode.PerTokenAndGroup => Heads / Groups,
        SelectionMode.PerToken => Heads,
        _ => 1,                                 // with one query per head is per token and head
    };

    /// <summary>Choices of a sequence.</summary>
    public int Choices => Heads / ChosenHeads;

    /// <summary>Heads that a thread block of the scan takes: the largest divisor of H/G that fits.</summary>
    public int ScanHeads
    {
        get
        {
            var heads = MostSharedHeads;
            while (Heads / Groups % heads != 0) heads--;
            return heads;
        }
    }

    /// <summary>Heads that a thread block of the reading takes: they must read the same blocks.</summary>
    public int ReadHeads => ChosenHeads == 1 ? 1 : ScanHeads;

    /// <summary>Length of a row of scores: whole quadruples are read.</summary>
    public int MostBlocks => (MostInMemory + 3) / 4 * 4;

    /// <summary>Thread blocks that a unit's reading has, one for each block read.</summary>
    public int Slots => TopK + WindowBlocks;

    /// <summary>Whether there is a kernel for so much, whatever the device.</summary>
    /// <param name="options">What is read.</param>
    /// <param name="keys">Positions of the window, S.</param>
    /// <param name="queries">Queries, T.</param>
    /// <param name="length">Positions of a block, L.</param>
    /// <param name="headDim">Width of a head, d.</param>
    /// <param name="type">Type of queries and memory.</param>
    public static bool Fits(RetrievalOptions options, int keys, int queries, int length, int headDim, ScalarType type) =>
        !options.Reference && options.Positions == PositionMode.Stingy && queries == 1 && options.TopK <= MostTopK
        && length - 1 <= MostTokens && ((keys - 1) / length) + 1 <= MostWindowBlocks && headDim <= WidestHead && headDim % HeadStep == 0
        && type is ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float32;

    /// <summary>Thread blocks over which a unit's old landmarks are dealt out: few enough to run at once.</summary>
    /// <param name="multiprocessors">Of the device.</param>
    public int Splits(int multiprocessors) => Math.Clamp(
        (MostInMemory + ScanRows - 1) / ScanRows, 1, Math.Max(1, ScanBlocks * multiprocessors / (Heads / ScanHeads * Sequences)));
}
