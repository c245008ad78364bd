using System.CommandLine;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark finetune</c>: from a model without landmarks to one with them.</summary>
internal sealed class FineTuneCommand : TrainCommand
{
    private readonly Option<string> model = new("--model")
    {
        Description = "Folder of a model without landmarks, llama, mistral, qwen2, qwen3 or starcoder2, with its tokenizer.",
        Required = true,
        HelpName = "DIR",
    };

    private readonly Option<string?> start = new("--from")
    {
        Description = "Folder of an adapter to go on with, where the recipe has lora; a new one when not given.",
        HelpName = "DIR",
    };

    public FineTuneCommand()
        : base(
            "finetune", "Gives a model landmarks: trains it on from its weights, or goes on with a run that stopped.",
            "finetune recipe.json --model qwen3-0.6b --shards tokens/train --out runs/qwen",
            "finetune recipe.json --model llama-3.2-1b --shards tokens/train --validation tokens/validation --out runs/llama --device cuda",
            "finetune lora.json --model llama-3.2-1b --shards tokens/train --out runs/more --from runs/llama/adapter")
    {
        Options.Insert(0, model);
        Options.Add(start);
    }

    protected override (TrainingOptions Options, TrainingRun Run) Read(ParseResult parsed, string recipe, TrainingRun run)
    {
        var folder = parsed.GetValue(model)!;
        var options = new BaseModel(folder).Recipe(recipe);
        if (parsed.GetValue(start) is not null && options.Lora is null)
            throw new LandmarkException("--from takes an adapter, and the recipe has no lora; leave out one of them, or add the other.");
        return (options, run with { Base = folder, Tokenizer = folder, StartFrom = parsed.GetValue(start) });
    }
}
