using System.CommandLine;

namespace LandmarkSharp.Cli;

/// <summary>What was asked of a retrieval test.</summary>
internal readonly record struct Trials(int Tokens, int Count, double? Depth, long Seed, bool WindowOnly);

/// <summary>How long, how often, where and by which seed.</summary>
internal sealed class TrialOptions(int tokens, int trials)
{
    private readonly Option<int> tokens =
        new("--tokens") { Description = "Tokens of the prompt, landmarks not counted.", DefaultValueFactory = _ => tokens, HelpName = "N" };
    private readonly Option<int> trials = new("--trials")
    {
        Description = "How often, each time with another key and place.",
        DefaultValueFactory = _ => trials,
        HelpName = "T",
    };
    private readonly Option<double?> depth =
        new("--depth") { Description = "Where the needle stands, from 0 (start) to 1 (end); drawn when not given.", HelpName = "D" };
    private readonly Option<long> seed =
        new("--seed") { Description = "Equal seeds give equal trials.", DefaultValueFactory = _ => 1, HelpName = "S" };

    private readonly Option<bool> windowOnly = new("--window-only")
    {
        Description = "For comparison: read only what the trained window holds of the prompt's end, without retrieval.",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (IEnumerable<Option>)[tokens, trials, depth, seed, windowOnly]) command.Options.Add(option);
    }

    public Trials Read(ParseResult parsed)
    {
        var count = parsed.GetValue(trials);
        if (count < 1) throw new LandmarkException($"The number of trials is {count}; it must be at least 1.");
        return new Trials(parsed.GetValue(tokens), count, parsed.GetValue(depth), parsed.GetValue(seed), parsed.GetValue(windowOnly));
    }
}
