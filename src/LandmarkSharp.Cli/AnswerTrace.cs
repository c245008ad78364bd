using System.CommandLine;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Cli;

/// <summary><c>--trace</c>: the whole account of an answer, kept as it is generated and written at its end.</summary>
internal sealed class AnswerTrace
{
    private readonly Option<string?> trace = new("--trace")
    {
        Description = "Write what each generated token was read from, by layer and head, for 'landmark trace'.",
        HelpName = "FILE",
    };
    private readonly List<GeneratedToken> tokens = [];
    private string? path;

    public void AddTo(Command command) => command.Options.Add(trace);

    /// <summary>Looks whether it is asked for, and whether the file can be written.</summary>
    public void Read(ParseResult parsed) => path = parsed.GetValue(trace) is { } file ? OutputFile.Checked(file) : null;

    /// <summary>Sees that the model has what is to be recorded, and has it recorded.</summary>
    public GenerationOptions Begin(GenerationOptions options, LandmarkEngine engine, string folder)
    {
        if (path is not null) RequireLandmarks(engine, folder, trace);
        return options with { RecordReads = path is not null };
    }

    /// <summary>Refuses an option about blocks beside a model that has none.</summary>
    public static void RequireLandmarks(LandmarkEngine engine, string folder, Option option)
    {
        if (engine.Config.Landmark is null)
            throw new LandmarkException($"{folder} is a model without landmarks, which reads no blocks; leave out {option.Name}.");
    }

    public void Add(GeneratedToken token)
    {
        if (path is not null) tokens.Add(token);
    }

    /// <summary>Writes it.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="session">What it read and generated.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="find">Gives blocks' passages.</param>
    /// <param name="file">The file of the text; null for standard input, and for a prompt alone.</param>
    /// <param name="ofText">Tokens of the text.</param>
    /// <param name="prompt">What followed it.</param>
    /// <param name="answer">What was shown.</param>
    /// <returns>The file; null where none was asked for.</returns>
    public string? Write(
        LandmarkEngine engine, Session session, string folder, Func<IEnumerable<long>, IReadOnlyList<Passage>> find, string? file, long ofText,
        string prompt, string answer)
    {
        if (path is null) return null;
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        TraceFile.Of(engine, session, name, tokens, find, file, ofText, prompt, answer).Save(path);
        return path;
    }
}
