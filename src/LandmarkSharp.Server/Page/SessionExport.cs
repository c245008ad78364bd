using System.Text;

namespace LandmarkSharp.Server.Page;

/// <summary>Conversations as files that go elsewhere.</summary>
internal static class SessionExport
{
    private const string Folder = "/page/conversations";

    /// <summary>Where they are.</summary>
    public const string Path = Folder + "/{id}.{form}";

    /// <summary>Where one is.</summary>
    public static string Url(PageSession session, string form) => $"{Folder}/{session.Id}.{form}";

    /// <summary>One as a file.</summary>
    /// <param name="session">The conversation; null for none.</param>
    /// <param name="form">"json" for all that is known of it, "md" for reading.</param>
    public static IResult Of(PageSession? session, string form) => (session, form) switch
    {
        ({ } found, "json") => Results.Bytes(SessionFiles.Bytes(found), "application/json", Name(found, form)),
        ({ } found, "md") => Results.Bytes(Encoding.UTF8.GetBytes(Markdown(found)), "text/markdown; charset=utf-8", Name(found, form)),
        _ => Results.NotFound(),
    };

    /// <summary>One as Markdown: questions, answers, and what they were read from.</summary>
    public static string Markdown(PageSession session)
    {
        var text = new StringBuilder($"# {session.Title}\n\nAbout {(session.Memories.Count > 1 ? "the memories" : "the memory")} {string.Join(", ", session.Memories)}, {session.Changed:yyyy-MM-dd HH:mm} UTC.\n");
        foreach (var turn in session.Turns)
        {
            text.Append($"\n## {turn.Question.ReplaceLineEndings(" ")}\n\n{turn.Answer}\n");
            foreach (var (passage, number) in turn.Passages.Take(4).Select((p, i) => (p, i + 1)))
            {
                text.Append($"\n{number}. {turn.SourceOf(passage)}, {passage.Share:P1} of the attention");
                if (passage.FirstByte is { } first) text.Append($", bytes {first} to {Math.Max(first, first + passage.Bytes - 1)}");
                text.Append($":\n\n   > {passage.Text.Trim().ReplaceLineEndings("\n   > ")}\n");
            }
        }
        return text.ToString();
    }

    private static string Name(PageSession session, string form) => $"conversation-{session.Changed:yyyyMMdd-HHmm}.{form}";
}
