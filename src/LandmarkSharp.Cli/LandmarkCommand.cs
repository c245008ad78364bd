using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

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
        Options.Add(new HelpOption { Action = new HelpWithExamples(examples) });
        SetAction((parsed, cancel) => Task.Run(() => Run(parsed, new Output(parsed.GetValue(json)), cancel), CancellationToken.None));
    }

    /// <summary>Does the command's work.</summary>
    /// <returns>The exit code.</returns>
    protected abstract int Run(ParseResult parsed, Output output, CancellationToken cancel);

    private sealed class HelpWithExamples(string[] examples) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var code = new HelpAction().Invoke(parseResult);
            var output = parseResult.InvocationConfiguration.Output;
            if (examples.Length > 0) output.WriteLine("Examples:");
            foreach (var example in examples) output.WriteLine($"  landmark {example}");
            output.WriteLine();
            return code;
        }
    }
}
