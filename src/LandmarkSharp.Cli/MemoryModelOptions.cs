using System.CommandLine;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Cli;

/// <summary>The model of a memory file, which reads as its configuration says, on the CPU.</summary>
internal sealed class MemoryModelOptions : TorchOptions
{
    private readonly Option<string?> model =
        new("--model") { Description = "Model folder in Hugging Face's layout; the model that ships when not given.", HelpName = "DIR" };

    public override void AddTo(Command command)
    {
        command.Options.Add(model);
        base.AddTo(command);
    }

    /// <summary>Loads the model.</summary>
    public LandmarkEngine LoadEngine(ParseResult parsed)
    {
        LoadTorch(parsed);
        return LandmarkEngine.Load(parsed.GetValue(model) ?? ModelOptions.Shipped);
    }
}
