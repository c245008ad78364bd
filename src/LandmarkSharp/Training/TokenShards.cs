using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Text;

namespace LandmarkSharp.Training;

/// <summary>
/// A folder of tokenised text: for each source a flat file of token ids (<c>NAME.bin</c>, documents one after the
/// other, each followed by the end-of-text token) and one of where each document starts (<c>NAME.docs</c>), and
/// <c>tokens.json</c>, which says what they are. The files are mapped into memory: opening costs nothing and a window is
/// read where it lies.
/// </summary>
public sealed class TokenShards : IDisposable
{
    internal const string MetaFile = "tokens.json";

    /// <summary>How the files are laid out; another number for every change of it. The first had the starts in tokens.json.</summary>
    internal const int Layout = 2;

    /// <summary>Of the tokens, which may be many, a fingerprint reads so many pieces of so many bytes.</summary>
    private const int Pieces = 64, PieceBytes = 4096;

    private readonly string folder;
    private readonly Dictionary<string, (TokenSource Tokens, DocumentStarts Starts)> sources = new(StringComparer.Ordinal);
    private string? fingerprint;

    private TokenShards(string folder, TokenShardsMeta meta) => (this.folder, Meta) = (folder, meta);

    /// <summary>What <c>tokens.json</c> says.</summary>
    public TokenShardsMeta Meta { get; }

    /// <summary>
    /// What tells these shards from others: SHA-256 of tokens.json, which has the tokenizer and the sizes, of every document's place,
    /// and of 64 pieces of 4,096 bytes, evenly spread, of each source's tokens.
    /// </summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public string Fingerprint => fingerprint ??= Hash();

    /// <summary>The stream of the source of this name.</summary>
    /// <exception cref="LandmarkException">There is no such source.</exception>
    public TokenSource this[string name] => Source(name).Tokens;

    /// <summary>Where the documents of the source of this name start.</summary>
    /// <exception cref="LandmarkException">There is no such source.</exception>
    public DocumentStarts Documents(string name) => Source(name).Starts;

    /// <summary>Opens a folder that <see cref="TokenShardsBuilder"/> wrote.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="vocabulary">The fingerprint of the tokenizer in use; null opens shards of any.</param>
    /// <exception cref="LandmarkException">
    /// A file is missing or has another size than <c>tokens.json</c> says, or the vocabulary is another one.
    /// </exception>
    public static TokenShards Open(string folder, string? vocabulary = null)
    {
        var meta = ReadMeta(Path.Combine(folder, MetaFile));
        if (vocabulary is not null && meta.Vocabulary != vocabulary)
            throw new LandmarkException(
                $"The token shards in {folder} were made with another tokenizer (vocabulary {meta.Vocabulary}, this "
                + $"one is {vocabulary}); make them again with this tokenizer.");

        var shards = new TokenShards(folder, meta);
        try
        {
            foreach (var source in meta.Sources)
            {
                var (tokens, starts) = (Path.Combine(folder, source.File), Path.Combine(folder, source.Starts));
                CheckSize(tokens, source.Tokens * meta.BytesPerToken);
                CheckSize(starts, source.DocumentCount * sizeof(long));
                shards.sources.Add(
                    source.Name, (TokenSource.Map(tokens, source.Tokens, meta.BytesPerToken), new DocumentStarts(starts, source.DocumentCount, source.Tokens)));
            }
            return shards;
        }
        catch
        {
            shards.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var (tokens, starts) in sources.Values)
        {
            tokens.Dispose();
            starts.Dispose();
        }
    }

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 16];
        foreach (var name in Meta.Sources.Select(s => s.Starts).Prepend(MetaFile))
        {
            using var file = File.OpenRead(Path.Combine(folder, name));
            while (file.Read(buffer) is > 0 and var count) hash.AppendData(buffer, 0, count);
        }
        foreach (var source in Meta.Sources)
        {
            using var file = File.OpenHandle(Path.Combine(folder, source.File));
            var last = Math.Max(0, RandomAccess.GetLength(file) - PieceBytes);
            for (var i = 0; i < Pieces; i++)
                hash.AppendData(buffer, 0, RandomAccess.Read(file, buffer.AsSpan(0, PieceBytes), (long)((Int128)last * i / (Pieces - 1))));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private (TokenSource Tokens, DocumentStarts Starts) Source(string name) =>
        sources.TryGetValue(name, out var source)
            ? source
            : throw new LandmarkException(
                $"The token shards have no source '{name}'; they have {string.Join(", ", sources.Keys)}.");

    private static void CheckSize(string path, long expected)
    {
        var found = TextFile.LengthOf(path);
        if (found != expected)
            throw new LandmarkException(
                $"The token file {path} has {(found < 0 ? "gone" : $"{found} bytes")}, expected {expected} bytes; make the shards again.");
    }

    private static TokenShardsMeta ReadMeta(string path)
    {
        try
        {
            var meta = JsonSerializer.Deserialize(File.ReadAllBytes(path), TokenShardsJson.Default.TokenShardsMeta);
            if (meta is { Vocabulary: not null, Sources: not null } && meta.Layout != Layout)
                throw new LandmarkException(
                    $"The token shards at {path} have layout {Math.Max(1, meta.Layout)}, and this version reads {Layout}; "
                    + "make the shards again.");
            if (meta is { Vocabulary: not null, BytesPerToken: 2 or 4, Sources.Count: > 0 }
                && meta.Sources.All(s => s is { Name: not null, File: not null, Starts: not null, Tokens: > 0, DocumentCount: > 0 })
                && meta.Sources.DistinctBy(s => s.Name).Count() == meta.Sources.Count) return meta;
            throw new LandmarkException($"The file {path} does not describe token shards; make the shards again.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LandmarkException($"There are no token shards at {path}; make them from text first.", e);
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"The file {path} is not valid JSON ({e.InBrief()}); make the shards again.", e);
        }
    }
}

/// <summary>What <c>tokens.json</c> beside the shards says.</summary>
/// <param name="Layout">The number of the layout of the files.</param>
/// <param name="Vocabulary">A fingerprint of the tokenizer that made the tokens.</param>
/// <param name="BytesPerToken">2 or 4: ids are little-endian unsigned integers of this size.</param>
/// <param name="EndOfText">The token after each document.</param>
/// <param name="Sources">The sources, in the order in which they were given.</param>
public sealed record TokenShardsMeta(
    int Layout, string Vocabulary, int BytesPerToken, int EndOfText, IReadOnlyList<TokenShard> Sources);

/// <summary>One source of text in the shards.</summary>
/// <param name="Name">Its name.</param>
/// <param name="File">Its file of tokens, beside <c>tokens.json</c>.</param>
/// <param name="Tokens">The number of tokens, the end-of-text tokens counted.</param>
/// <param name="Starts">Its file of where each document starts, in tokens: little-endian 64-bit integers.</param>
/// <param name="DocumentCount">The number of documents.</param>
public sealed record TokenShard(string Name, string File, long Tokens, string Starts, long DocumentCount)
{
    /// <summary>A source of this name that holds nothing yet.</summary>
    internal static TokenShard Named(string name) => new(name, name + ".bin", 0, name + ".docs", 0);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TokenShardsMeta))]
internal sealed partial class TokenShardsJson : JsonSerializerContext;
