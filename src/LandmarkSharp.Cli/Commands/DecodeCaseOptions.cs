using System.CommandLine;
using LandmarkSharp.Evaluation;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary>The options that say what a layer's attention is, for commands that measure it.</summary>
/// <param name="defaultType">The type of tensors when none is given.</param>
internal sealed class DecodeCaseOptions(string defaultType)
{
    private readonly Option<int> heads = BenchOptions.Number("--heads", 32, "Query heads.");
    private readonly Option<int> groups = BenchOptions.Number("--kv-heads", 8, "Key-value heads.");
    private readonly Option<int> width = BenchOptions.Number("--head-dim", 128, "Width of a head.");
    private readonly Option<int> topK = BenchOptions.Number("--top-k", 16, "Blocks read before the window.");
    private readonly Option<int> block = BenchOptions.Number("--block", 64, "Positions of a block, its landmark counted.");
    private readonly Option<string> type =
        new("--dtype") { Description = "Type of the tensors.", DefaultValueFactory = _ => defaultType, HelpName = "TYPE" };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        type.AcceptOnlyFromAmong(BenchOptions.Types.Keys.ToArray());
        foreach (var option in (IEnumerable<Option>)[heads, groups, width, topK, block, type]) command.Options.Add(option);
    }

    /// <summary>What a command line says.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="blocks">What blocks are kept as; as the tensors when null.</param>
    public DecodeCase Read(ParseResult parsed, torch.ScalarType? blocks = null) => new(
        parsed.GetValue(heads), parsed.GetValue(groups), parsed.GetValue(width), parsed.GetValue(topK), parsed.GetValue(block),
        BenchOptions.Types[parsed.GetValue(type)!], blocks);

    /// <summary>The type of tensors by its name.</summary>
    public string Type(ParseResult parsed) => parsed.GetValue(type)!;
}
