using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace LandmarkSharp.Cli;

/// <summary>A command line, and what is wrong with it in words for people.</summary>
internal static class CommandLine
{
    // A word that begins with @ is a word, as questions have them, and no file with more options.
    private static readonly ParserConfiguration Plain = new() { ResponseFileTokenReplacer = null };

    public static ParseResult Parse(RootCommand commands, string[] args) => commands.Parse(args, Plain);

    /// <summary>The first thing that is wrong, with what to do; null when nothing is.</summary>
    public static string? Problem(ParseResult parsed)
    {
        // A word too many explains what is missing beside it.
        if (parsed.Action is ParseErrorAction)
            return $"{(Superfluous(parsed) is { } word ? Unknown(word) : Sentence(parsed.Errors[0]))}; see '{Name(parsed)} --help'.";
        if (parsed.Action == parsed.CommandResult.Command.Action && MistakenOption(parsed) is { } option)
            return $"{Unknown(option)}; see '{Name(parsed)} --help', or put -- before a text that begins so.";
        return null;
    }

    private static string? Superfluous(ParseResult parsed) => parsed.UnmatchedTokens is [var first, ..] ? first : MistakenOption(parsed);

    private static string Unknown(string word) => word.StartsWith('-')
        ? $"There is no option '{word}'"
        : $"There is no command '{word}', and no such word is expected";

    /// <summary>An option that does not exist, where it was taken for the text or path that a command asks for.</summary>
    private static string? MistakenOption(ParseResult parsed) => parsed.CommandResult.Children.OfType<ArgumentResult>()
        .SelectMany(a => a.Tokens).Select(t => t.Value)
        .FirstOrDefault(v => v.StartsWith("--", StringComparison.Ordinal)
            && parsed.Tokens.TakeWhile(t => t.Type != TokenType.DoubleDash).Any(t => t.Value == v));

    private static string Sentence(ParseError error)
    {
        // The parser names .NET's types and lists choices in lines.
        if (error.SymbolResult is OptionResult { Tokens: [var first, ..] } result
            && error.Message.StartsWith("Cannot parse", StringComparison.Ordinal))
            return $"{result.Option.Name} takes "
                + $"{Kind(Nullable.GetUnderlyingType(result.Option.ValueType) ?? result.Option.ValueType.GetElementType() ?? result.Option.ValueType)}, not '{result.Tokens.FirstOrDefault(t => error.Message.Contains($"'{t.Value}'", StringComparison.Ordinal), first).Value}'";
        if (error.SymbolResult is ArgumentResult { Tokens.Count: 0, Parent: CommandResult } missing)
            return $"{missing.Argument.Name} is missing";
        return string.Join(", ", error.Message.TrimEnd('.').Split('\n', StringSplitOptions.TrimEntries))
            .Replace(". Must be one of:,", "; it must be one of", StringComparison.Ordinal);
    }

    private static string Kind(Type type) =>
        type == typeof(int) ? $"a whole number up to {int.MaxValue}"
        : type == typeof(long) ? $"a whole number up to {long.MaxValue}"
        : type == typeof(double) ? "a number"
        : "another kind of value";

    private static string Name(ParseResult parsed)
    {
        List<string> names = [];
        for (var at = parsed.CommandResult; at.Command is not RootCommand; at = (CommandResult)at.Parent!) names.Insert(0, at.Command.Name);
        return string.Join(' ', names.Prepend("landmark"));
    }
}
