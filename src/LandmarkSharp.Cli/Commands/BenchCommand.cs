using System.CommandLine;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench</c>: how fast this machine is.</summary>
internal static class BenchCommand
{
    public static Command Create() => new("bench", "Measures how fast this machine is.")
    {
        new BenchDecodeCommand(),
        new HelpWithExamples("landmark bench decode", "landmark bench decode --tokens 32768 1048576 --dtype bfloat16 --device cuda").Option,
    };
}
