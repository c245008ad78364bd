namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>An experiment of the paper: it trains what it needs, measures, and puts its figures beside the paper's.</summary>
/// <param name="Name">By which it is asked for, that of the paper's table or figure.</param>
/// <param name="Title">What it shows.</param>
/// <param name="IsOfSeeds">Whether it is made with each seed; else with one.</param>
/// <param name="Run">Runs it: what was trained or measured before is taken as it is.</param>
public sealed record Experiment(string Name, string Title, bool IsOfSeeds, Func<Laboratory, ExperimentResult> Run)
{
    /// <summary>All of them, in the paper's order.</summary>
    public static IReadOnlyList<Experiment> All { get; } =
    [
        new("table1", "Perplexity by the length of the context, with and without landmarks", true, LanguageModelling.Run),
        new("table2", "Perplexity by who shares a choice of blocks", true, Granularity.Run),
        new("table3", "Perplexity and time by the context-miss token's cut-off", false, ContextMisses.Run),
        new("figure3", "Pass key by length, before and after fine-tuning with landmarks", false, FineTunedPassKey.Run),
        new("figure5", "How many different blocks a window reads", false, UniqueBlocks.Run),
        new("figure6", "Perplexity of texts read in one piece, with and without position jumps", false, PositionJumps.Run),
        new("figure7", "Time to read by the length of a block and the number of blocks", false, BlockTimes.Run),
    ];
}
