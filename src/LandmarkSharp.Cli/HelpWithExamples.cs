using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace LandmarkSharp.Cli;

/// <summary>A command's help with examples under it.</summary>
/// <param name="examples">Command lines as they are typed.</param>
internal sealed class HelpWithExamples(params string[] examples) : SynchronousCommandLineAction
{
    /// <summary>The option that shows it.</summary>
    public HelpOption Option => new() { Action = this };

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        var code = new HelpAction().Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine("Examples:");
        foreach (var example in examples) output.WriteLine($"  {example}");
        output.WriteLine();
        return code;
    }
}
