using LandmarkSharp.Models;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Training;

/// <summary>Rows of tokens with landmarks in them, and what is to be predicted at each position.</summary>
/// <remarks>
/// Arrays are row after row, <c>[Rows, Length]</c>. All rows have their landmarks at the same positions: the last of
/// the first <see cref="FirstBlockLength"/> positions, and then the last of each block.
/// </remarks>
public sealed class Batch(int rows, int length)
{
    /// <summary>The target where nothing is to be predicted.</summary>
    public const int Ignored = -100;

    /// <summary>The number of rows.</summary>
    public int Rows => rows;

    /// <summary>The positions of a row, landmarks counted.</summary>
    public int Length => length;

    /// <summary>
    /// The positions of the first block, its landmark counted: 1 … ℓ + 1. Windows are cut anywhere in the stream, so
    /// the first block is usually short, and with 1 the row starts on a landmark.
    /// </summary>
    public int FirstBlockLength { get; internal set; }

    /// <summary>The token at each position.</summary>
    public int[] Inputs { get; } = new int[rows * length];

    /// <summary>
    /// The regular token that comes next, past a landmark if one stands between; <see cref="Ignored"/> at landmarks
    /// (paper section 4.1: a landmark is never predicted, nor predicts). With <see cref="LandmarkLoss.Predicted"/>, whatever
    /// comes next: the token before a landmark predicts it, and the landmark the token after. With
    /// <see cref="LandmarkLoss.Predicting"/> a landmark predicts that too, and is never predicted.
    /// </summary>
    public int[] Targets { get; } = new int[rows * length];

    /// <summary>The weight of each target's loss; 0 where it is ignored.</summary>
    public float[] Weights { get; } = new float[rows * length];

    /// <summary>Which targets are answers of retrieval tasks.</summary>
    public bool[] Answers { get; } = new bool[rows * length];

    /// <summary>What each row asks for; null where it is a window of text. Tasks come first.</summary>
    public TaskFamily?[] Families { get; } = new TaskFamily?[rows];

    /// <summary>Where each row's documents begin, if they are kept apart: multiples of a block; null if text is one stream.</summary>
    public IReadOnlyList<int>[]? Documents { get; internal set; }

    /// <summary>The position that each place stands at for the model, where positions jump after landmarks; null for 0, 1, 2 …</summary>
    public long[]? Positions { get; internal set; }

    /// <summary>Of what is drawn while the batch is trained on.</summary>
    public int Seed { get; internal set; }

    /// <summary>How many of the rows are retrieval tasks.</summary>
    public int TaskRows => Families.Count(f => f is not null);
}
