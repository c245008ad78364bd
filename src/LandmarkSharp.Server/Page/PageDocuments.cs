using System.Globalization;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Page;

/// <summary>Documents as the page tells of them.</summary>
internal static class PageDocuments
{
    private static readonly (string Type, string Name, string[] Endings)[] All =
    [
        ("text/plain", "text", [".txt", ".text"]),
        ("text/markdown", "Markdown", [".md", ".markdown"]),
        ("text/html", "HTML", [".html", ".htm"]),
        ("application/epub+zip", "EPUB", [".epub"]),
        ("application/pdf", "PDF", [".pdf"]),
    ];

    /// <summary>What can be added, as a browser's file dialog takes it.</summary>
    public static string Accepted => string.Join(',', All.SelectMany(k => k.Endings));

    /// <summary>What can be added, in words.</summary>
    public static string Kinds => string.Join(", ", All.Select(k => k.Name));

    /// <summary>The media type of a file; null where it cannot be read.</summary>
    public static string? TypeOf(string file) =>
        All.FirstOrDefault(k => k.Endings.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase)).Type;

    /// <summary>A document as a row of the list.</summary>
    /// <param name="document">The document.</param>
    /// <param name="sent">How much of it the browser has sent, where it is doing so.</param>
    public static DocumentRow Row(DocumentInfo document, double? sent) => document switch
    {
        { State: "failed" } => new DocumentRow(document.Name, document.Error!, IsFailed: true),
        { State: "receiving" } => new DocumentRow(document.Name, sent is { } s ? $"{s:P0} sent" : "Interrupted; add it again.", sent, IsBusy: sent is not null),
        { State: "reading", Reading: { } reading } => new DocumentRow(document.Name, Told(reading), (double)reading.Tokens / reading.Total, IsBusy: true),
        { IsSettled: false } => new DocumentRow(document.Name, "Waits to be read", IsBusy: true),
        _ => new DocumentRow(document.Name, $"{document.Tokens:N0} tokens"),
    };

    private static string Told(ReadingProgress reading) =>
        $"{reading.Tokens:N0} of about {reading.Total:N0} tokens"
        + (reading.TokensPerSecond is { } speed ? $" · {speed:N0} tokens/s" : "") + (reading.SecondsLeft is { } left ? $" · {Time(left)} left" : "");

    private static string Time(double seconds) => seconds < 90
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(seconds):N0} s")
        : string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(seconds / 60):N0} min");
}
