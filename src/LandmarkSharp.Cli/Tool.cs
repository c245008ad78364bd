using System.CommandLine;
using System.Text.Json;
using LandmarkSharp.Cli.Commands;

namespace LandmarkSharp.Cli;

/// <summary>The tool: its commands, and what becomes of errors.</summary>
internal static class Tool
{
    public const int Success = 0, Failed = 1, Usage = 2, Cancelled = 130;

    public static RootCommand Commands() => new("Landmark attention: language models with random access to an unlimited context.")
    {
        new PassKeyCommand(),
        new RecallCommand(),
        new AskCommand(),
        new GenerateCommand(),
        new PerplexityCommand(),
//PENDING         new VerifyCommand(),
        new TrainCommand(),
        TokenizerCommand.Create(),
        new InfoCommand(),
        new CompletionCommand(),
    };

    public static async Task<int> RunAsync(string[] args)
    {
        var parsed = Commands().Parse(args);
        var json = args.Contains("--json");
        if (parsed.Errors.Count > 0 && parsed.Action is System.CommandLine.Invocation.ParseErrorAction)
        {
            var path = parsed.CommandResult.Command is RootCommand ? "landmark" : $"landmark {parsed.CommandResult.Command.Name}";
            return Error($"{parsed.Errors[0].Message.TrimEnd('.')}; see '{path} --help'.", json, Usage);
        }
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (LandmarkException e)
        {
            return Error(e.Message, json, Failed);
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
        catch (Exception e) when (Environment.GetEnvironmentVariable("LANDMARK_DEBUG") is null)
        {
            return Error($"This should not have happened: {e.GetType().Name}, {e.Message.Split('\n')[0].TrimEnd('.')}; set LANDMARK_DEBUG=1 to see where, and report it.", json, Failed);
        }
    }

    private static int Error(string message, bool json, int code)
    {
        Console.Error.WriteLine(json ? JsonSerializer.Serialize(new { error = message }, Output.Json) : message);
        return code;
    }
}
