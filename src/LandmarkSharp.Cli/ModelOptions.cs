using System.CommandLine;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;

namespace LandmarkSharp.Cli;

/// <summary>Where a command runs: libtorch, device and threads.</summary>
internal class DeviceOptions
{
    private readonly Option<string> device = new("--device") { Description = "Where to run: auto, cpu, cuda or cuda:N.", DefaultValueFactory = _ => "auto", HelpName = "NAME" };
    private readonly Option<string?> libtorch = new("--libtorch") { Description = "Folder of another libtorch, such as an installed PyTorch's lib; also LANDMARK_LIBTORCH.", HelpName = "DIR" };
    private readonly Option<int?> threads = new("--threads") { Description = "Threads that compute; as many as processors when not given.", HelpName = "N" };

    public virtual void AddTo(Command command)
    {
        command.Options.Add(device);
        command.Options.Add(libtorch);
        command.Options.Add(threads);
    }

    /// <summary>Loads libtorch and finds the device.</summary>
    public torch.Device Device(ParseResult parsed)
    {
        LibTorch.Load(parsed.GetValue(libtorch));
        if (parsed.GetValue(threads) is { } n) LibTorch.SetThreads(n);
        return LibTorch.Device(parsed.GetValue(device)!);
    }
}

/// <summary>Which model, and how it reads.</summary>
internal sealed class ModelOptions : DeviceOptions
{
    private readonly Option<string?> model = new("--model") { Description = "Model folder in Hugging Face's layout; the model that ships when not given.", HelpName = "DIR" };
    private readonly Option<string> type = new("--dtype") { Description = "Type of parameters and memory: float32, bfloat16 or float16.", DefaultValueFactory = _ => "float32", HelpName = "TYPE" };
    private readonly Option<int?> topK = new("--top-k") { Description = "Blocks read per token, k; as the model says when not given.", HelpName = "K" };
    private readonly Option<string?> select = new("--select") { Description = "Who shares a choice of blocks: token-head, token-group (default), token or head.", HelpName = "MODE" };
    private readonly Option<string?> positions = new("--positions") { Description = "Where blocks are placed: stingy (default) or true.", HelpName = "MODE" };

    /// <summary>The model that ships, beside the program.</summary>
    public static string Shipped => Path.Combine(AppContext.BaseDirectory, "models", "landmark-10m");

    public override void AddTo(Command command)
    {
        command.Options.Add(model);
        base.AddTo(command);
        command.Options.Add(type);
        command.Options.Add(topK);
        command.Options.Add(select);
        command.Options.Add(positions);
    }

    /// <summary>The model's folder.</summary>
    public string Folder(ParseResult parsed) => parsed.GetValue(model) ?? Shipped;

    /// <summary>Loads the model.</summary>
    public LandmarkEngine Load(ParseResult parsed) => LandmarkEngine.Load(Folder(parsed), Options(parsed));

    /// <summary>Device, type and retrieval, as asked.</summary>
    public EngineOptions Options(ParseResult parsed)
    {
        var device = Device(parsed);
        var dtype = parsed.GetValue(type) switch
        {
            "float32" => torch.ScalarType.Float32,
            "bfloat16" => torch.ScalarType.BFloat16,
            "float16" => torch.ScalarType.Float16,
            var other => throw new LandmarkException($"The type '{other}' is not known; --dtype takes float32, bfloat16 or float16."),
        };
        return new EngineOptions { Device = device, Type = dtype, Retrieval = Retrieval(parsed) };
    }

    private RetrievalOptions? Retrieval(ParseResult parsed)
    {
        var (k, mode, place) = (parsed.GetValue(topK), parsed.GetValue(select), parsed.GetValue(positions));
        if (k is null && mode is null && place is null) return null;
        var folder = Folder(parsed);
        var landmark = ConfigFile.Load(folder).Landmark
            ?? throw new LandmarkException($"{folder} is a model without landmarks, so nothing is retrieved; leave out --top-k, --select and --positions.");
        return landmark.Retrieval(k) with
        {
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
    }
}
