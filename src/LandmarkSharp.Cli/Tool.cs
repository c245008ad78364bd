using System.CommandLine;
using System.CommandLine.Help;
using System.Text.Json;
using LandmarkSharp.Cli.Commands;

namespace LandmarkSharp.Cli;

/// <summary>The tool: its commands, and what becomes of errors.</summary>
internal static class Tool
{
    public const int Success = 0, Failed = 1, Usage = 2, Cancelled = 130, Terminated = 143;

    public static RootCommand Commands()
    {
        var root = new RootCommand("Landmark attention: language models with random access to an unlimited context.")
        {
            new PassKeyCommand(),
            new RecallCommand(),
            new AskCommand(),
            new GenerateCommand(),
            new ServeCommand(),
            KeysCommand.Create(),
            new TraceCommand(),
            new PerplexityCommand(),
            new FidelityCommand(),
            new VerifyCommand(),
            new TrainCommand(),
            new FineTuneCommand(),
            new RunsCommand(),
            new ExperimentCommand(),
            MemoryCommand.Create(),
            TokenizerCommand.Create(),
            WeightsCommand.Create(),
            BenchCommand.Create(),
            new InfoCommand(),
            new CompletionCommand(),
        };
        root.Options.OfType<HelpOption>().Single().Action =
            new HelpWithExamples("landmark passkey --tokens 32768", "landmark ask --text notes.txt \"What is the code of the archive?\"");
        return root;
    }

    public static async Task<int> RunAsync(string[] args)
    {
        var parsed = CommandLine.Parse(Commands(), args);
        var json = AsksForJson(parsed);
        if (CommandLine.Problem(parsed) is { } problem) return Error(problem, json, Usage);
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = (parsed.CommandResult.Command as LandmarkCommand)?.StopsWithin,
            });
        }
        catch (LandmarkException e)
        {
            return Error(e.Message, json, Failed);
        }
        catch (AggregateException e) when (e.GetBaseException() is LandmarkException inner)
        {
            return Error(inner.Message, json, Failed);
        }
        catch (OperationCanceledException)
        {
            return Error("Cancelled.", json, Cancelled);
        }
        catch (IOException e)
        {
            return Error($"{e.Message.TrimEnd('.')}; check the path and the room on the disk.", json, Failed);
        }
        catch (UnauthorizedAccessException e)
        {
            return Error($"{e.Message.TrimEnd('.')}; check the permissions.", json, Failed);
        }
        catch (Exception e) when (OutOfMemory.Is(e))
        {
            return Error(
                "There is not enough memory for this; use a shorter text, a smaller model or batch, "
                + "or a machine with more.",
                json,
                Failed);
        }
        catch (Exception e) when (Environment.GetEnvironmentVariable("LANDMARK_DEBUG") is null)
        {
            return Error(
                $"This should not have happened: {e.GetType().Name}, {e.Message.Split('\n')[0].TrimEnd('.')}; "
                + "set LANDMARK_DEBUG=1 to see where, and report it.",
                json,
                Failed);
        }
    }

    // The words themselves: a command line that is wrong has no options.
    private static bool AsksForJson(ParseResult parsed) => parsed.Tokens.Any(t => t.Value == "--json");

    /// <summary>Says on stderr what goes on all the same.</summary>
    public static void Warn(string message, ParseResult parsed)
    {
        var json = AsksForJson(parsed);
        Console.Error.WriteLine(json ? JsonSerializer.Serialize(new { warning = message }, Output.Json) : message);
    }

    private static int Error(string message, bool json, int code)
    {
        message = message.ReplaceLineEndings(" ");      // one error, one line, whatever was typed
        Console.Error.WriteLine(json ? JsonSerializer.Serialize(new { error = message }, Output.Json) : message);
        return code;
    }
}
