using System.CommandLine;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;

namespace LandmarkSharp.Cli;

/// <summary>The model of a memory file, which reads as its configuration says, on the CPU.</summary>
/// <param name="reads">Whether the command reads texts, and so has an index to choose.</param>
internal sealed class MemoryModelOptions(bool reads = false) : TorchOptions
{
    private readonly Option<string?> model =
        new("--model") { Description = "Model folder in Hugging Face's layout; the model that ships when not given.", HelpName = "DIR" };
    private readonly IndexOptions index = new();

    public override void AddTo(Command command)
    {
        command.Options.Add(model);
        base.AddTo(command);
        if (!reads) return;
        foreach (var option in index.All) command.Options.Add(option);
    }

    /// <summary>Loads the model.</summary>
    public LandmarkEngine LoadEngine(ParseResult parsed)
    {
        LoadTorch(parsed);
        var folder = parsed.GetValue(model) ?? ShippedModel.Folder;
        if (!reads || !index.AreGiven(parsed)) return LandmarkEngine.Load(folder);
        var landmark = ConfigFile.Load(folder).Landmark
            ?? throw new LandmarkException($"{folder} is a model without landmarks, so nothing is found by them; leave out --index and --index-effort.");
        return LandmarkEngine.Load(folder, new EngineOptions { Retrieval = index.Of(landmark.Retrieval(), parsed) });
    }
}
