using System.CommandLine;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using Spectre.Console;

namespace LandmarkSharp.Cli;

/// <summary>
/// <c>--session</c> and <c>--fork</c>: what was asked and answered is kept in a memory file, and gone on with. A session stays in the file
/// that it lies in; a new one lies in the first.
/// </summary>
internal sealed class KeptSession
{
    private readonly Option<string?> session = new("--session")
    {
        Description = "Go on with the session of this name, or begin it, and keep it in the memory file after the answer.",
        HelpName = "NAME",
    };
    private readonly Option<string?> fork = new("--fork")
    {
        Description = "Keep what becomes of the session by this other name; the one of --session stays as it was.",
        HelpName = "NAME",
    };
    private string? name, fresh;
    private string path = "";
    private bool isThere;

    /// <summary>Whether one is to be kept.</summary>
    public bool IsAsked => name is not null;

    public void AddTo(Command command)
    {
        command.Options.Add(session);
        command.Options.Add(fork);
    }

    /// <summary>Looks for the session before a model is loaded.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="memories">The memory files; none for a question about a text.</param>
    public void Read(ParseResult parsed, IReadOnlyList<string> memories)
    {
        (name, fresh) = (parsed.GetValue(session), parsed.GetValue(fork));
        if (name is null)
        {
            if (fresh is not null) throw new LandmarkException("--fork is of a session that is there; give it by --session.");
            return;
        }
        if (memories.Count == 0) throw new LandmarkException("A session is kept in a memory file; give one by --memory, or leave out --session.");
        if (name.Length == 0 || fresh is "") throw new LandmarkException("A session needs a name; give one.");
        var found = memories.FirstOrDefault(m => Has(m, name));
        (path, isThere) = (found ?? memories[0], found is not null);
        if (fresh is null) return;
        if (!isThere) throw new LandmarkException($"There is no session '{name}' to fork; check the name, or begin it without --fork.");
        if (Has(path, fresh)) throw new LandmarkException($"There is a session '{fresh}' already; choose another name for --fork.");
    }

    /// <summary>The session that was asked for, a new one where there is none; says how the documents have changed since it was kept.</summary>
    public Session Begin(LandmarkEngine engine, OpenMemory memory, ParseResult parsed)
    {
        if (!isThere) return engine.NewSession(memory);
        var found = engine.OpenSession(memory, name!);
        if (found.Changes is null)
            Tool.Warn($"It was not kept which documents the session '{name}' had read; it goes on as if it had read those of now.", parsed);
        else if (!found.Changes.IsNone)
            Tool.Warn($"Since the session '{name}' was kept, {found.Changes}; it goes on as if it had read the documents of now.", parsed);
        return found;
    }

    /// <summary>Keeps it, if that was asked for.</summary>
    /// <exception cref="LandmarkException">Another writer has the file, another kept the session meanwhile, or the disk refuses.</exception>
    public void Save(Session answered, Output output)
    {
        if (name is null) return;
        var keep = fresh ?? name;
        try
        {
            using var writer = MemoryFileWriter.Open(path);
            answered.Save(writer, keep);
            writer.Commit();
        }
        catch (LandmarkException e)
        {
            throw new LandmarkException($"The answer is whole, but the session '{keep}' was not kept: {e.Message}", e);
        }
        output.Line($"[grey]{answered.Tokens.Count:N0} tokens are kept as the session {Markup.Escape($"'{keep}'")}[/]");
        output.Event(new { @event = "session", name = keep, from = fresh is null ? null : name, file = path, tokens = answered.Tokens.Count });
    }

    private static bool Has(string path, string name)
    {
        using var file = MemoryFile.Open(path);
        return file.Sessions.Any(s => s.Complete && s.Name == name);
    }
}
