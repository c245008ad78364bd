using System.CommandLine;
using LandmarkSharp.Evaluation;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark verify</c>: our numbers against ones that other software made.</summary>
internal sealed class VerifyCommand : LandmarkCommand
{
    private readonly Argument<string> path =
        new("PATH") { Description = "A model folder with an expected.safetensors, or a file with a case of attention." };

    public VerifyCommand()
        : base(
            "verify", "Compares a model's logits and tokens, or a case of attention, with numbers that other software made.",
            "verify converted-model", "verify b2_h2_q64_kv64_d16_block16.safetensors --json") =>
        Arguments.Add(path);

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var result = Verification.Run(parsed.GetValue(path)!);
        var (checks, pass) = (result.Checks, result.Pass);
        foreach (var c in checks)
            output.Line(
                $"{(c.Pass ? "[green]pass[/]" : "[red]FAIL[/]")}  {Markup.Escape(c.Name),-36} "
                + $"error {c.MaxError:G3}, allowed {c.Tolerance:G3}");
        foreach (var name in result.Skipped) output.Line($"[grey]skip[/]  {Markup.Escape(name)}");
        output.Line(pass ? $"All {checks.Count} pass." : $"[red]{checks.Count(c => !c.Pass)} of {checks.Count} fail.[/]");
        output.Event(new
        {
            pass,
            checks = checks.Select(c => new { c.Name, max_error = c.MaxError, c.Tolerance, c.Pass }),
            skipped = result.Skipped,
        });
        return pass ? Tool.Success : Tool.Failed;
    }
}
