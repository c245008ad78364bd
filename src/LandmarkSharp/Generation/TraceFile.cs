using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace LandmarkSharp.Generation;

/// <summary>The whole account of an answer as a file: a line of JSON on the model and the text, then one for each generated token (docs/trace.md).</summary>
/// <param name="Header">The first line.</param>
/// <param name="Tokens">The others.</param>
public sealed record TraceFile(TraceHeader Header, IReadOnlyList<TracedToken> Tokens)
{
    private const int Most = 10_000;            // layers or heads of any model
    private const string Remedy = "give one that 'landmark ask --trace' or 'landmark generate --trace' wrote";

    private static readonly TraceJson Lines = new(new JsonSerializerOptions(TraceJson.Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    private static readonly TraceJson Page = new(new JsonSerializerOptions(TraceJson.Default.Options)
    {
        Encoder = JavaScriptEncoder.Create(UnicodeRanges.All),      // escapes <, > and &
    });

    /// <summary>That of an answer of which reads were recorded.</summary>
    /// <param name="engine">The model, as it read.</param>
    /// <param name="session">What it read and generated.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="answer">The answer's tokens.</param>
    /// <param name="find">Gives blocks' passages.</param>
    /// <param name="text">The file of the text; null for one that was piped in, and where there was a prompt alone.</param>
    /// <param name="textTokens">Tokens of the text.</param>
    /// <param name="prompt">What followed it.</param>
    /// <param name="shown">What was shown of the answer.</param>
    public static TraceFile Of(
        LandmarkEngine engine, Session session, string model, IReadOnlyList<GeneratedToken> answer,
        Func<IEnumerable<long>, IReadOnlyList<Passage>> find, string? text, long textTokens, string prompt, string shown)
    {
        var passages = find(answer.SelectMany(t => t.Reads!.Blocks).Distinct());
        var (landmark, retrieval) = (engine.Config.Landmark!, engine.Retrieval!);
        var header = new TraceHeader(
            TraceHeader.Version, model, engine.Config.Layers, engine.Config.Heads, landmark.BlockTokens, retrieval.TopK, retrieval.WindowBlocks,
            textTokens, session.Blocks, prompt, shown, answer.Count, passages, text, retrieval.KeepBlocks);
        // What a token spells, though a stop string may have kept it from being shown.
        var decoder = engine.Tokenizer.CreateDecoder(atStart: false);
        return new TraceFile(header, [.. answer.Select(t => new TracedToken(t.Id, decoder.Push(t.Id), t.Reads!))]);
    }

    /// <summary>Writes the file; it has its name when it is whole.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Save(string path) => WholeFiles.Write(path, file =>
    {
        using var writer = new StreamWriter(file, new UTF8Encoding(false), 1 << 16, leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(JsonSerializer.Serialize(Header, Lines.TraceHeader));
        foreach (var token in Tokens) writer.WriteLine(JsonSerializer.Serialize(token, Lines.TracedToken));
    });

    /// <summary>
    /// Writes a page that shows it: the text as a strip of blocks, attention by layer and token, and the passages. It needs nothing but
    /// a browser, and no network.
    /// </summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void SavePage(string path) => WholeFiles.Write(path, TracePage.Of(this));

    /// <summary>Header and tokens as one JSON object that may stand in an HTML page: nothing in it ends a script.</summary>
    internal string ToJson() => JsonSerializer.Serialize(this, Page.TraceFile);

    /// <summary>Reads a file.</summary>
    /// <exception cref="LandmarkException">There is none, it is no trace, or it is damaged; the message says where.</exception>
    public static TraceFile Load(string path)
    {
        if (Directory.Exists(path)) throw new LandmarkException($"'{path}' is a folder; {Remedy}.");
        if (!File.Exists(path)) throw new LandmarkException($"There is no file '{path}'; check the path.");
        try
        {
            using var lines = File.ReadLines(path).GetEnumerator();
            var header = lines.MoveNext() ? ReadHeader(path, lines.Current) : throw new LandmarkException($"'{path}' is empty; {Remedy}.");
            if (Problem(header) is { } wrong) throw new LandmarkException($"'{path}' is damaged: line 1 has {wrong}; {Remedy}.");
            var blocks = header.Passages.Select(p => p.Block).ToHashSet();
            List<TracedToken> tokens = [];
            while (lines.MoveNext())
            {
                var line = tokens.Count + 2;
                var token = Read(path, line, lines.Current, Lines.TracedToken);
                if (Problem(header, blocks, token) is { } problem)
                    throw new LandmarkException($"'{path}' is damaged: line {line} has {problem}; {Remedy}.");
                tokens.Add(token);
            }
            return tokens.Count == header.Generated
                ? new TraceFile(header, tokens)
                : throw new LandmarkException($"'{path}' is damaged: it has {tokens.Count} tokens of {header.Generated}; {Remedy}.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"'{path}' cannot be read ({e.Message.TrimEnd('.')}); check its permissions.", e);
        }
    }

    private static TraceHeader ReadHeader(string path, string line)
    {
        try
        {
            using var parsed = JsonDocument.Parse(line);
            if (parsed.RootElement.ValueKind != JsonValueKind.Object || !parsed.RootElement.TryGetProperty("landmark_trace", out var version))
                throw new LandmarkException($"'{path}' is no trace: its first line has no 'landmark_trace'; {Remedy}.");
            if (version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out var number) || number != TraceHeader.Version)
                throw new LandmarkException(
                    $"'{path}' is a trace of version {version.GetRawText()}, and version {TraceHeader.Version} can be read; write it anew with --trace.");
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"'{path}' is no trace: its first line is not JSON; {Remedy}.", e);
        }
        return Read(path, 1, line, Lines.TraceHeader);
    }

    private static T Read<T>(string path, int number, string line, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(line, type) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"'{path}' is damaged: line {number} cannot be read ({e.Message.Split(". ")[0].TrimEnd('.')}); {Remedy}.", e);
        }
    }

    private static string? Problem(TraceHeader header)
    {
        if (header.Layers is < 1 or > Most || header.Heads is < 1 or > Most) return $"{header.Layers} layers of {header.Heads} heads";
        if (header.BlockTokens < 1 || header.BlockCount < 1) return $"{header.BlockCount} blocks of {header.BlockTokens} tokens";
        var last = -1L;
        foreach (var passage in header.Passages)
        {
            if (passage is null || passage.Block <= last || passage.Block >= header.BlockCount)
                return "passages that are not in the order of the text's blocks";
            last = passage.Block;
        }
        return null;
    }

    private static string? Problem(TraceHeader header, HashSet<long> blocks, TracedToken token)
    {
        if (token.Reads.Queries < 0) return $"{token.Reads.Queries} queries";
        if (token.Reads.Layers.Count != header.Layers) return $"{token.Reads.Layers.Count} layers of {header.Layers}";
        foreach (var heads in token.Reads.Layers)
        {
            if (heads is null || heads.Contains(null!)) return "a layer or head with nothing in it";
            if (heads.Count != header.Heads) return $"{heads.Count} heads of {header.Heads} in a layer";
            foreach (var read in heads)
            {
                if (read.Blocks.Count != read.Masses.Count) return $"{read.Masses.Count} masses for {read.Blocks.Count} blocks";
                if (read.Masses.Any(m => m is not (>= 0 and <= 1)) || read.Window < -0.01) return "masses that are no shares of 1";
                foreach (var block in read.Blocks)
                    if (!blocks.Contains(block)) return $"block {block}, of which the first line has no passage";
            }
        }
        return null;
    }
}

/// <summary>What a trace is of.</summary>
/// <param name="LandmarkTrace">The version of the format, <see cref="Version"/>.</param>
/// <param name="Model">The model's name or folder.</param>
/// <param name="Layers">Its layers.</param>
/// <param name="Heads">Query heads of each.</param>
/// <param name="BlockTokens">Regular tokens of a block, ℓ.</param>
/// <param name="TopK">Blocks that a query reads, k.</param>
/// <param name="WindowBlocks">Blocks of the window.</param>
/// <param name="TextTokens">Tokens of the text, those that the tokenizer puts first counted.</param>
/// <param name="BlockCount">Blocks of the text, the prompt and the answer.</param>
/// <param name="Prompt">What was appended to the text.</param>
/// <param name="Answer">What was generated, as it was shown.</param>
/// <param name="Generated">Tokens generated: lines that follow.</param>
/// <param name="Passages">Every block that was read, in the order of the text.</param>
/// <param name="Text">The file of the text; null for one that was piped in, and where there was a prompt alone.</param>
/// <param name="KeepBlocks">Blocks before the window that were kept; null for all.</param>
public sealed record TraceHeader(
    int LandmarkTrace, string Model, int Layers, int Heads, int BlockTokens, int TopK, int WindowBlocks, long TextTokens, long BlockCount,
    string Prompt, string Answer, int Generated, IReadOnlyList<Passage> Passages, string? Text = null, int? KeepBlocks = null)
{
    /// <summary>The version of the format.</summary>
    public const int Version = 1;
}

/// <summary>A generated token and what it was read from.</summary>
/// <param name="Id">The token.</param>
/// <param name="Text">The text that is certain with it: empty while a character is incomplete, and for a mark.</param>
/// <param name="Reads">What it was read from.</param>
public sealed record TracedToken(int Id, string Text, TokenReads Reads);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(TraceHeader))]
[JsonSerializable(typeof(TracedToken))]
[JsonSerializable(typeof(TraceFile))]
internal sealed partial class TraceJson : JsonSerializerContext;
