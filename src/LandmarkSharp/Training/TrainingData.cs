using LandmarkSharp.Models;
using LandmarkSharp.Text;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Training;

/// <summary>What a run is fed and judged by: its tokenizer, texts and tasks, as batches.</summary>
internal sealed class TrainingData : IDisposable
{
    /// <summary>Set apart from every training seed.</summary>
    private const long ValidationSeed = -7_919;

    private readonly TrainingOptions options;
    private readonly TrainingRun run;
    private readonly Tokenizer tokenizer;
    private readonly TokenShards shards;
    private readonly TokenShards? heldOut;
    private readonly RetrievalTasks tasks;

    /// <summary>Opens the data of a run.</summary>
    /// <exception cref="LandmarkException">A file is missing or damaged, was made with another tokenizer, or has fewer tokens than a window.</exception>
    public TrainingData(TrainingOptions options, TrainingRun run)
    {
        (this.options, this.run) = (options, run);
        tokenizer = Tokenizer.Load(run.Tokenizer);
        shards = TokenShards.Open(run.Shards, tokenizer.Fingerprint);
        try
        {
            heldOut = run.ValidationShards is { } held ? TokenShards.Open(held, tokenizer.Fingerprint) : null;
            RequireWindows();
            tasks = Tasks(TaskSplit.Training);
            if (options.Lora is not null && run.Base is null)
                throw new LandmarkException("The recipe has lora, which adapts a model that is there; fine-tune one with it.");
            Base = run.Base is { } folder ? new BaseModel(folder) : null;
            Model = Base?.Model(options)
                ?? options.Model(tokenizer.VocabularySize, tokenizer.EosId, tokenizer.Fingerprint) with { BosId = tokenizer.BosId };
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The run's tokenizer.</summary>
    public Tokenizer Tokenizer => tokenizer;

    /// <summary>The texts to train on.</summary>
    public TokenShards Shards => shards;

    /// <summary>The held-out texts; null for none.</summary>
    public TokenShards? HeldOut => heldOut;

    /// <summary>The model that is fine-tuned; null where one is trained anew.</summary>
    public BaseModel? Base { get; }

    /// <summary>The model that the recipe makes of it, or with this tokenizer.</summary>
    public ModelConfig Model { get; }

    /// <summary>What tells apart the texts that two runs train on, those that they are judged by, and the weights that they adapt.</summary>
    public string Fingerprints => string.Join(' ', shards.Fingerprint, heldOut?.Fingerprint, Model.BaseFingerprint);

    /// <summary>Makes the batches of a stage.</summary>
    public BatchMaker Maker(TrainingStage stage) => new(
        Batches(stage, options.Seed + stage.FromStep), [.. options.Sources.Select(s => Source(shards, s.Key, s.Value))], tasks);

    /// <summary>
    /// Judges a stage by held-out texts, and where it asks tasks by tasks of held-out wordings, in windows as long as those it
    /// is trained on; null where there are neither.
    /// </summary>
    public Validation? Validation(TrainingStage stage)
    {
        var judging = Batches(stage with { Rows = run.ValidationRows, TaskShare = 0 }, ValidationSeed) with { PositionJump = 0 };
        WeightedSource[] text = [.. (heldOut?.Meta.Sources ?? []).Select(s => Source(heldOut!, s.Name, 1))];
        var asks = stage.TaskShare > 0;
        if (text.Length == 0 && !asks) return null;
        return new Validation(
            text.Length > 0 ? new BatchMaker(judging, text) : null, asks ? new BatchMaker(judging, [], Tasks(TaskSplit.HeldOut)) : null,
            run.ValidationBatches);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        heldOut?.Dispose();
        shards.Dispose();
    }

    // Told before the first stage is trained, and not when the last begins.
    private void RequireWindows()
    {
        var longest = options.Stages.Max(s => s.Window);
        var sources = options.Sources.Keys.Select(name => ("source", name, shards[name].Count))
            .Concat((heldOut?.Meta.Sources ?? []).Select(s => ("held-out source", s.Name, s.Tokens)));
        foreach (var (kind, name, tokens) in sources)
            if (tokens <= longest)
                throw new LandmarkException(
                    $"The {kind} '{name}' has {tokens:N0} tokens, and the recipe's longest window {longest:N0} positions; give more text, or shorter windows.");
    }

    private static WeightedSource Source(TokenShards shards, string name, double weight) =>
        new(shards[name], weight, shards.Documents(name));

    private int? Mark => tokenizer.AddsBos ? tokenizer.BosId : null;

    private RetrievalTasks Tasks(TaskSplit split)
    {
        var names = options.TaskSources.Count > 0 ? options.TaskSources : [.. options.Sources.Keys];
        TokenSource[] texts = [.. names.Select(n => shards[n])];
        return new RetrievalTasks(
            new FragmentEncoder(text => tokenizer.Encode(text)), texts,
            new RetrievalTaskOptions
            {
                Split = split,
                // What is kept out of training is asked in the same shares whatever the recipe, so that runs compare.
                Shares = split == TaskSplit.Training ? options.TaskShares : RetrievalTaskOptions.DefaultShares,
                Lookalikes = split == TaskSplit.Training ? options.TaskLookalikes : 0,
                BeginOfText = Mark,
                EndOfText = tokenizer.EosId,
                // Wordings are made up for training alone.
                Phrases = split == TaskSplit.Training ? MadeUpWordings.Phrases(tokenizer, texts) : [],
            });
    }

    private BatchOptions Batches(TrainingStage stage, long seed) => new()
    {
        Rows = stage.Rows,
        Length = stage.Window,
        BlockLength = options.BlockTokens,
        LandmarkId = Model.Landmark?.Id ?? -1,
        Vocabulary = tokenizer.VocabularySize,
        LandmarkLoss = options.LandmarkLoss,
        Documents = options.Documents,
        PositionJump = options.PositionJump,
        BeginOfText = Mark,
        Seed = seed,
        TaskShare = stage.TaskShare,
        AnswerWeight = options.AnswerWeight,
        EchoWeight = options.EchoWeight,
        TaskTextWeight = options.TaskTextWeight,
    };
}
