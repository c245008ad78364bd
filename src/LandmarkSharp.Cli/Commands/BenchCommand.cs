using System.CommandLine;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench</c>: how fast this machine is.</summary>
internal static class BenchCommand
{
    public static Command Create() => new("bench", "Measures how fast this machine is.")
    {
        new BenchAttentionCommand(),
        new BenchDecodeCommand(),
        new BenchIndexCommand(),
        new BenchKernelsCommand(),
        new BenchModelCommand(),
        new BenchTrainingCommand(),
        new HelpWithExamples(
            "landmark bench attention", "landmark bench attention --tokens 4096 --backward", "landmark bench decode",
            "landmark bench index --text book.txt",
            "landmark bench kernels --device cuda", "landmark bench model --host-blocks --device cuda",
            "landmark bench training --recipe recipe.json --device cuda").Option,
    };
}
