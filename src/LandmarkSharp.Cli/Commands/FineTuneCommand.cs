using System.CommandLine;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark finetune</c>: from a model without landmarks to one with them.</summary>
internal sealed class FineTuneCommand : TrainCommand
{
    private readonly Option<string> model = new("--model")
    {
        Description = "Folder of a model without landmarks, llama, mistral, qwen2 or qwen3, with its tokenizer.",
        Required = true,
        HelpName = "DIR",
    };

    public FineTuneCommand()
        : base(
            "finetune", "Gives a model landmarks: trains it on from its weights, or goes on with a run that stopped.",
            "finetune recipe.json --model qwen3-0.6b --shards tokens/train --out runs/qwen",
            "finetune recipe.json --model llama-3.2-1b --shards tokens/train --validation tokens/validation --out runs/llama --device cuda") =>
        Options.Add(model);

    protected override (TrainingOptions Options, TrainingRun Run) Read(ParseResult parsed, string recipe, TrainingRun run)
    {
        var folder = parsed.GetValue(model)!;
        return (new BaseModel(folder).Recipe(recipe), run with { Base = folder, Tokenizer = folder });
    }
}
