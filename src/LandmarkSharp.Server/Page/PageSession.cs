using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Page;

/// <summary>A conversation about memories, as the page shows it and keeps it.</summary>
/// <param name="Id">Its id: hexadecimal digits.</param>
/// <param name="Memories">The memories that were asked last, in their order.</param>
/// <param name="Changed">When something was last said.</param>
/// <param name="Turns">What was asked and answered.</param>
public sealed record PageSession(
    string Id, [property: JsonPropertyName("memory"), JsonConverter(typeof(NamesConverter))] IReadOnlyList<string> Memories, DateTimeOffset Changed,
    IReadOnlyList<PageTurn> Turns)
{
    private const int Most = 60;

    /// <summary>What it is called: its first question.</summary>
    [JsonIgnore]
    public string Title => Turns is not [{ Question: var first }, ..] ? "New conversation" : first.Length <= Most ? first : first[..Most].TrimEnd() + "…";

    /// <summary>One in which nothing has been said.</summary>
    public static PageSession About(params IReadOnlyList<string> memories) => new(NewId(), memories, DateTimeOffset.UtcNow, []);

    /// <summary>An id that none has.</summary>
    public static string NewId() => Guid.NewGuid().ToString("N");
}

/// <summary>A question and its answer.</summary>
/// <param name="Question">The question.</param>
/// <param name="Answer">The answer, as it is shown.</param>
/// <param name="TopK">Blocks that each token was read from, k; null where it was all of them.</param>
/// <param name="Blocks">Blocks that the memory had.</param>
/// <param name="Version">What the memory was then.</param>
/// <param name="Tokens">The answer's tokens, and what each was read from.</param>
/// <param name="Reads">What the whole answer was read from.</param>
/// <param name="Passages">Passages that the answer was read from, the one with the most read word first.</param>
/// <param name="Window">The share of attention that stayed with the last tokens and the question.</param>
/// <param name="Seconds">How long the answer took.</param>
/// <param name="Focus">Blocks that were found first and then read alone; null where none were.</param>
/// <param name="Memories">The memories that were asked, in their order; null in conversations from when it was always one.</param>
public sealed record PageTurn(
    string Question, string Answer, int? TopK, long Blocks, string Version, IReadOnlyList<ReadToken> Tokens, IReadOnlyList<BlockShare> Reads,
    IReadOnlyList<PagePassage> Passages, double Window, double Seconds, int? Focus = null, IReadOnlyList<string>? Memories = null)
{
    /// <summary>What a passage's source is called: its document, and its memory where several were asked.</summary>
    public string SourceOf(PagePassage passage) => Memories is { Count: > 1 } ? $"{passage.Memory} · {passage.Document}" : passage.Document;
}

/// <summary>A token of an answer.</summary>
/// <param name="Text">What it spells.</param>
/// <param name="Reads">The blocks of the memory that it was read from.</param>
public sealed record ReadToken(string Text, IReadOnlyList<BlockShare> Reads);

/// <summary>A block of a memory as a text.</summary>
/// <param name="Block">Its number.</param>
/// <param name="Share">Its share of the answer's attention.</param>
/// <param name="Document">The document in which it stands.</param>
/// <param name="FirstToken">Tokens of the document before it.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="FirstByte">Bytes of the document before it.</param>
/// <param name="Bytes">Its bytes in UTF-8.</param>
/// <param name="Text">Its text.</param>
/// <param name="Words">The text in words, and each one's part of the share; null where it was not read.</param>
/// <param name="Memory">The memory in which the document lies; null in conversations from when it was always one.</param>
public sealed record PagePassage(
    long Block, double Share, string Document, long FirstToken, int Tokens, long? FirstByte, int Bytes, string Text,
    IReadOnlyList<WordShare>? Words = null, string? Memory = null);

/// <summary>A word of a passage, with the white space before it.</summary>
/// <param name="Text">The word.</param>
/// <param name="Share">Its share of the answer's attention.</param>
public sealed record WordShare(string Text, double Share);
