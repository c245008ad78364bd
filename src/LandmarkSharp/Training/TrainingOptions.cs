using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Training.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>A recipe: everything that decides what a training run computes, and nothing else. Stored as JSON.</summary>
public sealed record TrainingOptions
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
    };

    /// <summary>What layers are made of.</summary>
    public Architecture Architecture { get; init; }

    /// <summary>Width of the residual stream, D.</summary>
    public int HiddenSize { get; init; } = 256;

    /// <summary>Width of the feed-forward layer.</summary>
    public int IntermediateSize { get; init; } = 704;

    /// <summary>Layers.</summary>
    public int Layers { get; init; } = 10;

    /// <summary>Query heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Key-value heads.</summary>
    public int KeyValueHeads { get; init; } = 4;

    /// <summary>Width of a head.</summary>
    public int HeadDim { get; init; } = 64;

    /// <summary>Base of the rotary embedding.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>The embedding has a multiple of so many rows, unused ones at its end: cards are fast at multiples of 64.</summary>
    public int VocabularyMultiple { get; init; } = 1;

    /// <summary>Regular tokens of a block, ℓ; 0 trains a plain model, without landmarks and with causal attention, to compare with.</summary>
    public int BlockTokens { get; init; } = 63;

    /// <summary>Of a model without landmarks, trains a Transformer-XL of these windows, to compare with; null for none.</summary>
    public Recurrence? Recurrence { get; init; }

    /// <summary>Blocks the trained model reads per query, k.</summary>
    public int TopK { get; init; } = 4;

    /// <summary>Blocks of the trained model's window at inference; k + 1 slots and the window should fit into a trained one.</summary>
    public int WindowBlocks { get; init; } = 3;

    /// <summary>What landmarks' places teach; generation with the model follows it.</summary>
    public LandmarkLoss LandmarkLoss { get; init; } = LandmarkLoss.Ignored;

    /// <summary>How documents share a window.</summary>
    public DocumentPacking Documents { get; init; } = DocumentPacking.Joined;

    /// <summary>After each landmark positions go on up to so many less one further, drawn each time (the paper's appendix E); 0 for never.</summary>
    public int PositionJump { get; init; }

    /// <summary>The probability of a query's gate of an earlier block to be dropped (group dropout, landmark-attention.md 1.7).</summary>
    public double GroupDropout { get; init; }

    /// <summary>The probability of an element to be dropped of what the embedding and each part of a layer add to the residual stream.</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The probability of a block of a window to be controlled by the context-miss token, which the model then has (the paper's
    /// appendix D, landmark-attention.md 1.7; there 0.5); 0 for a model without.
    /// </summary>
    public double ContextMiss { get; init; }

    /// <summary>Sources of text, by their names in the shards, and their weights.</summary>
    public IReadOnlyDictionary<string, double> Sources { get; init; } = new Dictionary<string, double>();

    /// <summary>Sources whose text fills retrieval tasks; all when empty.</summary>
    public IReadOnlyList<string> TaskSources { get; init; } = [];

    /// <summary>The shares of the families of retrieval tasks; they need not sum to 1, and a family that is left out has none.</summary>
    public IReadOnlyDictionary<TaskFamily, double> TaskShares { get; init; } = RetrievalTaskOptions.DefaultShares;

    /// <summary>The share of rows of facts whose subjects are easily mistaken for one another.</summary>
    public double TaskLookalikes { get; init; } = 0.4;

    /// <summary>Stages in order; the first begins at step 0.</summary>
    public IReadOnlyList<TrainingStage> Stages { get; init; } = [new TrainingStage()];

    /// <summary>Optimizer steps.</summary>
    public long Steps { get; init; } = 1000;

    /// <summary>Steps over which the learning rate rises.</summary>
    public long WarmUp { get; init; } = 100;

    /// <summary>Learning rate where the warm-up begins.</summary>
    public double StartRate { get; init; }

    /// <summary>Whether the warm-up rises by half a cosine, as the paper's does from scratch; else evenly.</summary>
    public bool CosineWarmUp { get; init; }

    /// <summary>Learning rate after the warm-up.</summary>
    public double PeakRate { get; init; } = 2e-3;

    /// <summary>Learning rate at the end of half a cosine.</summary>
    public double FinalRate { get; init; } = 4e-5;

    /// <summary>Periods of the cosine after the warm-up: 0.5 ends at the final rate, the paper's 0.4 for fine-tuning before that.</summary>
    public double Cycles { get; init; } = 0.5;

    /// <summary>AdamW's β₁.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's β₂.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Decoupled decay, of matrices alone.</summary>
    public double WeightDecay { get; init; } = 0.05;

    /// <summary>The largest gradient norm; null for any.</summary>
    public double? Clip { get; init; } = 1;

    /// <summary>Loss weight of an answer's tokens.</summary>
    public float AnswerWeight { get; init; } = 3;

    /// <summary>Loss weight of a value that its own statement says again.</summary>
    public float EchoWeight { get; init; } = 1;

    /// <summary>Loss weight of the rest of a task.</summary>
    public float TaskTextWeight { get; init; } = 0.2f;

    /// <summary>
    /// Type of activations: bfloat16, float32, or auto: bfloat16 on a GPU and float32 on a CPU, few of which are fast at the
    /// other. Master weights and moments are float32.
    /// </summary>
    public string ComputeType { get; init; } = "auto";

    /// <summary>Whether layers keep their inputs alone and are computed again in the backward pass: less memory, a third more work.</summary>
    public bool RecomputeLayers { get; init; }

    /// <summary>An adapter that is trained beside the frozen weights of a model that is fine-tuned; null trains all weights.</summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>Seed of the weights and of every batch.</summary>
    public long Seed { get; init; } = 1;

    internal ScalarType Compute(Device device) => ComputeType switch
    {
        "auto" => device.type == DeviceType.CPU ? ScalarType.Float32 : ScalarType.BFloat16,
        "bfloat16" => ScalarType.BFloat16,
        "float32" => ScalarType.Float32,
        _ => throw new LandmarkException($"The recipe's compute_type is '{ComputeType}'; it must be auto, bfloat16 or float32."),
    };

    /// <summary>Reads a recipe.</summary>
    /// <exception cref="LandmarkException">The file is missing or damaged, a field is unknown or a value makes no sense.</exception>
    public static TrainingOptions Load(string path)
    {
        if (!File.Exists(path)) throw new LandmarkException($"There is no recipe '{path}'; check the path.");
        return Parse(File.ReadAllText(path), path);
    }

    /// <summary>Reads a recipe from JSON text; <paramref name="name"/> stands in errors.</summary>
    public static TrainingOptions Parse(string json, string name)
    {
        try
        {
            var options = JsonSerializer.Deserialize<TrainingOptions>(json, Json);
            return options?.Checked() ?? throw new LandmarkException($"The recipe '{name}' is empty; give its fields as a JSON object.");
        }
        catch (JsonException e)
        {
            var wrong = e.InnerException is JsonException syntax
                ? $"is not JSON ({syntax.Message.Split(". ")[0]})"
                : e.Path is { Length: > 2 } path
                    ? $"has a field '{path[2..]}' that is unknown or of another kind"
                    : "is no object of fields";
            throw new LandmarkException($"The recipe '{name}' {wrong}, in line {e.LineNumber + 1}; correct it there.", e);
        }
    }

    /// <summary>The recipe as JSON text.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">A value is out of range, or two contradict each other; the message names them.</exception>
    public TrainingOptions Checked()
    {
        void Require(bool holds, string what)
        {
            if (!holds) throw new LandmarkException($"The recipe cannot be trained: {what}.");
        }
        Require(Steps > 0 && WarmUp >= 0, "steps must be above 0 and warm_up 0 or more");
        Require(BlockTokens >= 0, $"block_tokens is {BlockTokens}; a block has at least 1, and 0 stands for no landmarks");
        Require(
            BlockTokens > 0 || (Documents == DocumentPacking.Joined && PositionJump == 0 && GroupDropout == 0 && ContextMiss == 0 && Lora is null),
            "without landmarks, block_tokens 0, documents are joined, and there is no position_jump, group_dropout, context_miss or lora");
        Require(
            Recurrence is null || (BlockTokens == 0 && Recurrence is { Window: > 0, Cache: > 0 }),
            "recurrence is for block_tokens 0, and has a window and a cache of 1 position or more");
        Require(Stages.All(s => s is not null), "a stage is null; give its fields or {}");
        Require(Stages.Count > 0 && Stages[0].FromStep == 0, "its first stage must have from_step 0");
        Require(Stages.Zip(Stages.Skip(1)).All(p => p.First.FromStep < p.Second.FromStep), "its stages must be in order of from_step");
        Require(Stages[^1].FromStep < Steps, $"its last stage has from_step {Stages[^1].FromStep} and would never begin; steps is {Steps}");
        foreach (var s in Stages)
        {
            Require(s.Window >= 2 * (BlockTokens + 1), $"a window of {s.Window} positions has fewer than two blocks of {BlockTokens + 1}");
            Require(
                Recurrence is null || s.Window > Recurrence.Window,
                $"a stage's window of {s.Window} positions is one window of recurrence, which never sees a cache; give a stage more than {Recurrence?.Window}");
            Require(
                s is { Rows: > 0, Accumulate: > 0, TaskShare: >= 0 and <= 1 },
                "rows and accumulate must be at least 1 and task_share between 0 and 1");
            // The most landmarks are in a window that starts on one; it is told one token more than it holds.
            var regular = BlockTokens == 0 ? s.Window : s.Window - ((s.Window - 1) / (BlockTokens + 1));
            Require(
                s.TaskShare == 0 || regular >= RetrievalTasks.ShortestRow,
                $"a window of {s.Window} positions in blocks of {BlockTokens + 1} may have only {regular} "
                + $"regular tokens, and a retrieval task needs {RetrievalTasks.ShortestRow}");
        }
        Require(
            PeakRate > 0 && FinalRate >= 0 && !(Clip <= 0) && WeightDecay >= 0,
            "rates and clip must be above 0 and weight_decay 0 or more");
        Require(StartRate >= 0 && Cycles is > 0 and <= 0.5, "start_rate must be 0 or more, and cycles above 0 and at most 0.5");
        Require(PositionJump >= 0 && GroupDropout is >= 0 and < 1, "position_jump must be 0 or more, and group_dropout from 0 to below 1");
        Require(Dropout is >= 0 and < 1, "dropout must be from 0 to below 1");
        Require(ContextMiss is >= 0 and <= 1, "context_miss must be from 0 to 1");
        Require(Beta1 is >= 0 and < 1 && Beta2 is >= 0 and < 1, "beta1 and beta2 must be from 0 to below 1");
        Require(Sources.Count > 0 && Sources.Values.All(w => w > 0), "sources must name at least one source, each with a weight above 0");
        Require(TaskSources.All(s => s is not null), "task_sources must be names of sources");
        Require(
            TaskShares.Values.All(s => s >= 0) && TaskShares.Values.Any(s => s > 0),
            "task_shares must be 0 or more, and one of them above 0");
        Require(TaskLookalikes is >= 0 and <= 1, "task_lookalikes must be between 0 and 1");
        Require(
            AnswerWeight > 0 && EchoWeight >= 0 && TaskTextWeight >= 0, "answer_weight must be above 0, and echo_weight and task_text_weight 0 or more");
        Require(RopeTheta > 0, "rope_theta must be above 0");
        Require(VocabularyMultiple >= 1, "vocabulary_multiple must be at least 1");
        Require(TopK >= 1 && WindowBlocks >= 1, "top_k and window_blocks must be at least 1");
        Lora?.Checked("The recipe cannot be trained");
        _ = Compute(CPU);
        return this;
    }

    /// <summary>The rate of each step.</summary>
    internal LearningRate Rate => new(PeakRate, FinalRate, WarmUp, Steps) { Start = StartRate, CosineWarmUp = CosineWarmUp, Cycles = Cycles };

    /// <summary>The stage of a step.</summary>
    public TrainingStage Stage(long step) => Stages.Last(s => s.FromStep <= step);

    /// <summary>The model that the recipe makes with a tokenizer: its landmark, if it has one, is the id after the tokenizer's last.</summary>
    /// <param name="vocabulary">Tokens of the tokenizer.</param>
    /// <param name="endOfText">The token that ends a text.</param>
    /// <param name="fingerprint">The tokenizer's fingerprint.</param>
    public ModelConfig Model(int vocabulary, int? endOfText, string fingerprint)
    {
        var (context, gpt) = (Stages.Max(s => s.Window), Architecture == Architecture.Gpt);
        var rows = vocabulary + OwnTokens;
        return new ModelConfig
        {
            Family = gpt ? ModelFamily.Starcoder2 : ModelFamily.Llama,
            Activation = gpt ? Activation.Gelu : Activation.Silu,
            VocabularySize = (rows + VocabularyMultiple - 1) / VocabularyMultiple * VocabularyMultiple,
            HiddenSize = HiddenSize,
            IntermediateSize = IntermediateSize,
            Layers = Layers,
            Heads = Heads,
            KeyValueHeads = KeyValueHeads,
            HeadDim = HeadDim,
            MaxPositions = context,
            Rotary = new RotaryScaling { Theta = RopeTheta },
            TiedEmbeddings = true,
            EosIds = endOfText is { } id ? [id] : [],
            TokenizerFingerprint = fingerprint,
            Recurrence = Recurrence,
            Landmark = BlockTokens == 0 ? null : Landmark(vocabulary),
        }.Checked("The recipe");
    }

    /// <summary>Tokens that the model has beside its tokenizer's.</summary>
    internal int OwnTokens => BlockTokens == 0 ? 0 : ContextMiss > 0 ? 2 : 1;

    /// <summary>The landmark side of the model that the recipe makes; a context-miss token's id is the one after the landmark's.</summary>
    /// <param name="id">The landmark's token id.</param>
    public LandmarkConfig Landmark(int id) => new()
    {
        Id = id,
        BlockTokens = BlockTokens,
        TrainContext = Stages.Max(s => s.Window),
        Loss = LandmarkLoss,
        MissId = ContextMiss > 0 ? id + 1 : null,
        TopK = TopK,
        WindowPositions = WindowBlocks * (BlockTokens + 1),
    };
}
