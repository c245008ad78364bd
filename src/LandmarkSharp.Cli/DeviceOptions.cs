using System.CommandLine;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training.Distributed;
using TorchSharp;

namespace LandmarkSharp.Cli;

/// <summary>Where a command runs: libtorch, device and threads.</summary>
/// <param name="several">Whether the command can run on several devices.</param>
internal class DeviceOptions(bool several = false) : TorchOptions
{
    private readonly Option<string> device = new("--device")
    {
        Description = "Where to run: auto, cpu, cuda or cuda:N" + (several ? "; cuda:0,cuda:1 shares the work out." : "."),
        DefaultValueFactory = _ => "auto",
        HelpName = "NAME",
    };

    public override void AddTo(Command command)
    {
        command.Options.Add(device);
        base.AddTo(command);
    }

    /// <summary>Loads libtorch and finds the device.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="auto">What <c>auto</c> stands for: a card where there is one, or <c>cpu</c> for what the CPU alone can do.</param>
    public torch.Device Device(ParseResult parsed, string auto = "auto")
    {
        LoadTorch(parsed);
        return LibTorch.Device(parsed.GetValue(device) is { } name and not "auto" ? name : auto);
    }

    /// <summary>Loads libtorch and finds the devices of a list.</summary>
    public torch.Device[] Devices(ParseResult parsed)
    {
        LoadTorch(parsed);
        torch.Device[] devices = [.. parsed.GetValue(device)!.Split(',', StringSplitOptions.TrimEntries).Select(LibTorch.Device)];
        if (devices.CountBy(d => d.ToString()).FirstOrDefault(d => d.Value > 1) is { Key: { } twice })
            throw new LandmarkException($"The device {twice} is given more than once; name each once.");
        if (devices.Length > 1 && devices.Any(d => d.type != DeviceType.CUDA))
            throw new LandmarkException(
                $"The devices {string.Join(" and ", devices.AsEnumerable())} cannot share the work: a step takes as long as the slowest; "
                + "name CUDA devices alone.");
        return devices;
    }

    /// <summary>
    /// Loads libtorch and finds the device of one of several processes: on each machine the n-th process has the n-th of a list, and
    /// CUDA's n-th where no number is given.
    /// </summary>
    public torch.Device Device(ParseResult parsed, Launch launch)
    {
        LoadTorch(parsed);
        var names = parsed.GetValue(device)!.Split(',', StringSplitOptions.TrimEntries);
        if (names.Length > 1 && launch.LocalRank >= names.Length)
            throw new LandmarkException(
                $"There are {names.Length} devices and more processes on this machine; name one for each, or cuda to take the first ones.");
        var name = names[names.Length > 1 ? launch.LocalRank : 0];
        return LibTorch.Device(name == "cuda" || (name == "auto" && LibTorch.CudaAvailable) ? $"cuda:{launch.LocalRank}" : name);
    }
}
