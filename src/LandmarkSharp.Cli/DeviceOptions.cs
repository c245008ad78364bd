using System.CommandLine;
using LandmarkSharp.Tensors;
using TorchSharp;

namespace LandmarkSharp.Cli;

/// <summary>Where a command runs: libtorch, device and threads.</summary>
internal class DeviceOptions
{
    private readonly Option<string> device =
        new("--device") { Description = "Where to run: auto, cpu, cuda or cuda:N.", DefaultValueFactory = _ => "auto", HelpName = "NAME" };
    private readonly Option<string?> libtorch = new("--libtorch")
    {
        Description = "Folder of another libtorch, such as an installed PyTorch's lib; also LANDMARK_LIBTORCH.",
        HelpName = "DIR",
    };
    private readonly Option<int?> threads =
        new("--threads") { Description = "Threads that compute; as many as processors when not given.", HelpName = "N" };

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
