using System.Text;
using LandmarkSharp.Evaluation;
using Spectre.Console;

namespace LandmarkSharp.Cli;

/// <summary>A text as a bar of blocks: which were read for an answer, and where what was asked for stands.</summary>
internal static class BlockBar
{
    public const string Legend = "▒ needle  █ needle, read  ▓ read  · read little or not";

    /// <summary>The bar, in Spectre's markup.</summary>
    /// <param name="trial">Blocks and needle.</param>
    /// <param name="blockTokens">Regular tokens of a block.</param>
    /// <param name="width">Characters; each stands for one block or for several.</param>
    public static string Draw(RetrievalTrial trial, int blockTokens, int width)
    {
        var blocks = Math.Max(1, trial.BlockCount);
        var cells = (int)Math.Min(blocks, width);
        var (needle, read) = (new bool[cells], new bool[cells]);
        foreach (var b in trial.NeedleBlocks(blockTokens)) needle[Cell(b)] = true;
        foreach (var block in MostRead(trial)) read[Cell(block)] = true;
        var bar = new StringBuilder();
        for (var i = 0; i < cells; i++)
        {
            bar.Append((needle[i], read[i]) switch
            {
                (true, true) => "[green]█[/]",
                (true, false) => "[red]▒[/]",
                (false, true) => "[yellow]▓[/]",
                _ => "[grey]·[/]",
            });
        }
        return bar.ToString();

        int Cell(long block) => (int)(Math.Min(block, blocks - 1) * cells / blocks);
    }

    /// <summary>The blocks that hold most of what was read from memory: those of at least a twentieth of it.</summary>
    public static IEnumerable<long> MostRead(RetrievalTrial trial)
    {
        var total = trial.Blocks.Sum(b => b.Mass);
        return trial.Blocks.Where(b => b.Mass >= 0.05 * total).Select(b => b.Block);
    }
}
