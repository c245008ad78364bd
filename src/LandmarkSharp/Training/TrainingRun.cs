using LandmarkSharp.Training.Distributed;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>Where a run finds its data and puts its results, and how often; nothing here changes what is computed.</summary>
public sealed record TrainingRun
{
    /// <summary>Folder for run.json, metrics, samples, events, checkpoints, the best model and the finished one.</summary>
    public required string Output { get; init; }

    /// <summary>Tokenizer file or folder.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Token shards of the training texts.</summary>
    public required string Shards { get; init; }

    /// <summary>Token shards of held-out texts; null for none. All their sources count alike.</summary>
    public string? ValidationShards { get; init; }

    /// <summary>
    /// Folder of a model whose weights the run begins with, or of an adapter where one is trained; null begins with random ones, or
    /// with the base's.
    /// </summary>
    public string? StartFrom { get; init; }

    /// <summary>
    /// Folder of a model without landmarks that the run fine-tunes, <see cref="Tokenizer"/> too; null trains a model of the recipe's shapes.
    /// </summary>
    public string? Base { get; init; }

    /// <summary>Where it runs: several devices share the batches that the recipe accumulates. None is the CPU.</summary>
    public IReadOnlyList<Device> Devices { get; init; } = [];

    /// <summary>
    /// The processes that train together, each with this run on a device of its own and its share of the batches that the recipe
    /// accumulates; the first alone writes and reports. Null for one process. It is the caller's to leave and dispose.
    /// </summary>
    public ProcessGroup? Group { get; init; }

    /// <summary>Steps between reports.</summary>
    public int ReportEvery { get; init; } = 20;

    /// <summary>Steps between validations.</summary>
    public int ValidateEvery { get; init; } = 500;

    /// <summary>Batches of a validation.</summary>
    public int ValidationBatches { get; init; } = 8;

    /// <summary>Rows of a validation batch.</summary>
    public int ValidationRows { get; init; } = 32;

    /// <summary>Steps between samples of what the model writes after beginnings of held-out texts; 0 for none.</summary>
    public int SampleEvery { get; init; }

    /// <summary>Steps between checkpoints.</summary>
    public int SaveEvery { get; init; } = 1000;

    /// <summary>Checkpoints to keep.</summary>
    public int Keep { get; init; } = 2;

    /// <summary>Stops with a checkpoint after this long; null for never.</summary>
    public TimeSpan? Limit { get; init; }
}
