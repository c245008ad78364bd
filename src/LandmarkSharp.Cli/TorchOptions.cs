using System.CommandLine;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Cli;

/// <summary>With what a command computes: libtorch and threads.</summary>
internal class TorchOptions
{
    private readonly Option<string?> libtorch = new("--libtorch")
    {
        Description = "Folder of another libtorch, such as an installed PyTorch's lib; also LANDMARK_LIBTORCH.",
        HelpName = "DIR",
    };
    private readonly Option<int?> threads =
        new("--threads") { Description = "Threads that compute; as many as processors when not given.", HelpName = "N" };

    public virtual void AddTo(Command command)
    {
        command.Options.Add(libtorch);
        command.Options.Add(threads);
    }

    /// <summary>Loads libtorch.</summary>
    protected void LoadTorch(ParseResult parsed)
    {
        LibTorch.Load(parsed.GetValue(libtorch));
        if (parsed.GetValue(threads) is { } n) LibTorch.SetThreads(n);
    }
}
