using System.CommandLine;

namespace LandmarkSharp.Cli;

/// <summary>How long, how often, where and by which seed.</summary>
internal sealed class TrialOptions(int tokens, int trials)
{
    private readonly Option<int> tokens = new("--tokens") { Description = "Tokens of the prompt, landmarks not counted.", DefaultValueFactory = _ => tokens, HelpName = "N" };
    private readonly Option<int> trials = new("--trials") { Description = "How often, each time with another key and place.", DefaultValueFactory = _ => trials, HelpName = "T" };
    private readonly Option<double?> depth = new("--depth") { Description = "Where the needle stands, from 0 (start) to 1 (end); drawn when not given.", HelpName = "D" };
    private readonly Option<long> seed = new("--seed") { Description = "Equal seeds give equal trials.", DefaultValueFactory = _ => 1, HelpName = "S" };

    public void AddTo(Command command)
    {
        foreach (var option in (IEnumerable<Option>)[tokens, trials, depth, seed]) command.Options.Add(option);
    }

    public (int Tokens, int Trials, double? Depth, long Seed) Read(ParseResult parsed)
    {
        var count = parsed.GetValue(trials);
        if (count < 1) throw new LandmarkException($"The number of trials is {count}; it must be at least 1.");
        return (parsed.GetValue(tokens), count, parsed.GetValue(depth), parsed.GetValue(seed));
    }
}
