using LandmarkSharp.Cli;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What the tool says of itself.</summary>
public sealed class HelpTests
{
    /// <summary>Every command that does something, by its words.</summary>
    public static TheoryData<string> Names => [.. Leaves(Tool.Commands(), "")];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task EveryCommandHasHelpWithExamples(string name)
    {
        var help = await LandmarkTool.Run([.. name.Split(' '), "--help"]);
        Assert.Equal((0, ""), (help.Code, help.Error));
        Assert.Contains("--json", help.Output, StringComparison.Ordinal);
        var examples = help.Output[help.Output.IndexOf("Examples:", StringComparison.Ordinal)..]
            .Split('\n', StringSplitOptions.TrimEntries)[1..];
        Assert.Contains(examples, e => e.Contains($"landmark {name}", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryExampleIsACommandLine(string name)
    {
        var output = new StringWriter();
        Tool.Commands().Parse($"{name} --help").Invoke(new() { Output = output });
        var help = output.ToString();
        foreach (var example in help[help.IndexOf("Examples:", StringComparison.Ordinal)..].Split('\n').Skip(1).Where(l => l.Length > 0))
        {
            // What stands after a redirection is the shell's.
            Assert.StartsWith("  landmark ", example, StringComparison.Ordinal);
            var line = example["  landmark ".Length..].Split(" <")[0].Split(" >")[0];
            Assert.Empty(Tool.Commands().Parse(line).Errors);
        }
    }

    [Fact]
    public async Task TheToolNamesItsCommands()
    {
        var help = await LandmarkTool.Run("--help");
        Assert.Equal(0, help.Code);
        Assert.Contains("Examples:\n  landmark passkey", help.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("Examples:\n  landmark tokenizer",
            (await LandmarkTool.Run("tokenizer", "--help")).Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.All(Tool.Commands().Subcommands, c => Assert.Contains($"  {c.Name} ", help.Output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("bash", "complete ")]
    [InlineData("zsh", "compdef ")]
    [InlineData("fish", "complete ")]
    [InlineData("pwsh", "Register-ArgumentCompleter")]
    public async Task CompletionIsAScript(string shell, string part)
    {
        var run = await LandmarkTool.Run("completion", shell);
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains(part, run.Output, StringComparison.Ordinal);
        Assert.Contains("[suggest:", run.Output, StringComparison.Ordinal);
        Assert.Equal(run.Output, (await LandmarkTool.Run("completion", shell, "--json")).Json.GetProperty("script").GetString() + "\n");
    }

    [Fact]
    public async Task TheToolSuggestsWhatTheScriptsAskFor()
    {
        var run = await LandmarkTool.Run("[suggest:10]", "landmark p");
        Assert.Equal(0, run.Code);
        Assert.Equal(["passkey", "perplexity"],
            run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(w => w.StartsWith('p')));
    }

    private static IEnumerable<string> Leaves(System.CommandLine.Command command, string words) => command.Subcommands.Count == 0
        ? [words.Trim()]
        : command.Subcommands.SelectMany(c => Leaves(c, $"{words} {c.Name}"));
}
