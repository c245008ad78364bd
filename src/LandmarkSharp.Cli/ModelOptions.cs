using System.CommandLine;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using TorchSharp;

namespace LandmarkSharp.Cli;

/// <summary>Which model, and how it reads.</summary>
/// <param name="ownTopK">Whether the command has a <c>--top-k</c> of its own, for several numbers.</param>
/// <param name="ownIndex">Whether the command has an <c>--index</c> of its own, for several, and its effort.</param>
/// <param name="asksMemories">Whether the command asks memories too, where the model's k is not all that is read unless told otherwise.</param>
internal sealed class ModelOptions(bool ownTopK = false, bool ownIndex = false, bool asksMemories = false) : DeviceOptions
{
    private readonly Option<string?> model =
        new("--model") { Description = "Model folder in Hugging Face's layout; the model that ships when not given.", HelpName = "DIR" };
    private readonly Option<string> type = new("--dtype")
    {
        Description = "Type of parameters and memory: float32, bfloat16 or float16.",
        DefaultValueFactory = _ => "float32",
        HelpName = "TYPE",
    };
    private readonly Option<int?> topK = new("--top-k")
    {
        Description = "Blocks read per token, k; as the model says when not given"
            + (asksMemories ? ", and for questions of memories twice as many, where its trained length holds them." : "."),
        HelpName = "K",
    };
    private readonly Option<double?> mass = new("--mass")
    {
        Description = "Stop choosing blocks when they have this share of the landmarks' mass, --top-k at the latest; always k when not given.",
        HelpName = "X",
    };
    private readonly Option<int?> window =
        new("--window") { Description = "Blocks of the window, all of which are read; as the model says when not given.", HelpName = "N" };
    private readonly Option<int?> keepBlocks = new("--keep-blocks")
    {
        Description = "Blocks before the window that can be chosen, the last ones; all when not given.",
        HelpName = "N",
    };
    private readonly Option<string?> select = new("--select")
    {
        Description = "Who shares a choice of blocks: token-head, token-group (default), token or head.",
        HelpName = "MODE",
    };
    private readonly Option<string?> positions =
        new("--positions") { Description = "Where blocks are placed: stingy (default) or true.", HelpName = "MODE" };

    private readonly Option<string?> blockType = new("--block-type")
    {
        Description = "Type of past keys and values: float32, bfloat16 or int8, the latter two for float32 models on the CPU; "
            + "as --dtype when not given.",
        HelpName = "TYPE",
    };

    private readonly Option<bool> hostBlocks = new("--host-blocks")
    {
        Description = "Keep past keys and values in this machine's memory, for a model on a card, which then reads what is chosen over the bus.",
    };

    private readonly Option<double?> missCutoff = new("--miss-cutoff")
    {
        Description = "The context-miss token's mass below which a token and head retrieve nothing, for models that have one: "
            + "0 always retrieves, 1 never; as the model says when not given.",
        HelpName = "X",
    };

    private readonly IndexOptions index = new();

    /// <summary>The types of <c>--block-type</c> by name.</summary>
    public static torch.ScalarType? BlockType(string? name) => name switch
    {
        null => null,
        "float32" => torch.ScalarType.Float32,
        "bfloat16" => torch.ScalarType.BFloat16,
        "int8" => torch.ScalarType.Int8,
        _ => throw new LandmarkException($"The type '{name}' is not known; --block-type takes float32, bfloat16 or int8."),
    };

    public override void AddTo(Command command)
    {
        command.Options.Add(model);
        base.AddTo(command);
        command.Options.Add(type);
        foreach (var option in Retrieving) command.Options.Add(option);
    }

    private Option[] Retrieving =>
    [
        .. ownTopK ? (Option[])[] : [topK], mass, window, keepBlocks, select, positions, blockType, hostBlocks, missCutoff,
        .. ownIndex ? [] : index.All,
    ];

    /// <summary>The model's folder.</summary>
    public string Folder(ParseResult parsed) => parsed.GetValue(model) ?? ShippedModel.Folder;

    /// <summary>Loads the model.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="forFiles">Whether it reads memory files, which only the CPU does: <c>--device auto</c> is then that.</param>
    public LandmarkEngine Load(ParseResult parsed, bool forFiles = false) => LandmarkEngine.Load(Folder(parsed), Options(parsed, forFiles));

    /// <summary>Device, type and retrieval, as asked.</summary>
    public EngineOptions Options(ParseResult parsed, bool forFiles = false)
    {
        var device = Device(parsed, forFiles ? "cpu" : "auto");
        var dtype = parsed.GetValue(type) switch
        {
            "float32" => torch.ScalarType.Float32,
            "bfloat16" => torch.ScalarType.BFloat16,
            "float16" => torch.ScalarType.Float16,
            var other => throw new LandmarkException($"The type '{other}' is not known; --dtype takes float32, bfloat16 or float16."),
        };
        return new EngineOptions { Device = device, Type = dtype, Retrieval = Retrieval(parsed) };
    }

    /// <summary>Refuses options about retrieval beside one that reads without.</summary>
    public void RefuseRetrieval(ParseResult parsed, string because)
    {
        foreach (var option in Retrieving)
            if (parsed.GetResult(option) is { Implicit: false })
                throw new LandmarkException(
                    $"{because} reads without retrieval, so {option.Name} would do nothing; leave one of them out.");
    }

    private RetrievalOptions? Retrieval(ParseResult parsed)
    {
        if (Retrieving.All(o => parsed.GetResult(o) is null or { Implicit: true })) return null;
        var (k, blocks, mode, place) =
            (ownTopK ? null : parsed.GetValue(topK), parsed.GetValue(window), parsed.GetValue(select), parsed.GetValue(positions));
        var kept = BlockType(parsed.GetValue(blockType));
        var folder = Folder(parsed);
        var landmark = ConfigFile.Load(folder).Landmark
            ?? throw new LandmarkException(
                $"{folder} is a model without landmarks, so nothing is retrieved; leave out "
                + "--top-k, --mass, --window, --keep-blocks, --select, --positions, --block-type, --host-blocks, --miss-cutoff, --index and --index-effort.");
        var own = landmark.Retrieval(k, blocks);
        var options = own with
        {
            MissCutoff = parsed.GetValue(missCutoff) ?? own.MissCutoff,
            Mass = parsed.GetValue(mass),
            BlockType = kept,
            HostBlocks = parsed.GetValue(hostBlocks),
            KeepBlocks = parsed.GetValue(keepBlocks),
            Selection = mode switch
            {
                null or "token-group" => SelectionMode.PerTokenAndGroup,
                "token-head" => SelectionMode.PerTokenAndHead,
                "token" => SelectionMode.PerToken,
                "head" => SelectionMode.PerHead,
                _ => throw new LandmarkException($"The mode '{mode}' is not known; --select takes token-head, token-group, token or head."),
            },
            Positions = place switch
            {
                null or "stingy" => PositionMode.Stingy,
                "true" => PositionMode.True,
                _ => throw new LandmarkException($"The mode '{place}' is not known; --positions takes stingy or true."),
            },
        };
        if (ownTopK) options = options with { TopK = 1 };           // each of the command's comes in its place
        if (!ownIndex) options = index.Of(options, parsed);
        if (!ownTopK) WarnOfSpan(landmark, options, parsed);
        return options;
    }

    /// <summary>Says so where blocks are to stand farther away than the model was trained on.</summary>
    public static void WarnOfSpan(LandmarkConfig landmark, RetrievalOptions options, ParseResult parsed)
    {
        if (options.Positions == PositionMode.Stingy && landmark.Span(options) > landmark.TrainContext)
            Tool.Warn(
                $"{options.TopK} blocks and a window of {options.WindowBlocks} take {landmark.Span(options):N0} positions, "
                + $"and the model was trained on {landmark.TrainContext:N0}; it may read badly.", parsed);
    }
}
