using System.CommandLine;

namespace LandmarkSharp.Cli;

/// <summary>A command of the tool: <c>--json</c> everywhere, examples in its help, and Ctrl-C as a token.</summary>
internal abstract class LandmarkCommand : Command
{
    private readonly Option<bool> json = new("--json") { Description = "Write JSON for programs: one object, or a line per event." };

    /// <summary>Names the command.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">What it does, in a sentence.</param>
    /// <param name="examples">Command lines, without the tool's name.</param>
    protected LandmarkCommand(string name, string description, params string[] examples)
        : base(name, description)
    {
        Options.Add(json);
        Options.Add(new HelpWithExamples([.. examples.Select(e => $"landmark {e}")]).Option);
        SetAction((parsed, cancel) => Task.Run(() => Run(parsed, new Output(parsed.GetValue(json)), cancel), CancellationToken.None));
    }

    /// <summary>
    /// How long it is waited for when it was asked to stop. Most commands stop between two pieces of their work, or wait for
    /// input that may never come.
    /// </summary>
    public virtual TimeSpan StopsWithin => TimeSpan.FromSeconds(2);

    /// <summary>Does the command's work.</summary>
    /// <returns>The exit code.</returns>
    protected abstract int Run(ParseResult parsed, Output output, CancellationToken cancel);
}
