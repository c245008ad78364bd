using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Training;

/// <summary>
/// A folder of tokenised text: one flat file of token ids for each source (<c>NAME.bin</c>, documents one after the
/// other, each followed by the end-of-text token) and <c>tokens.json</c>, which says what they are. The files are
/// mapped into memory: opening costs nothing and a window is read where it lies.
/// </summary>
public sealed class TokenShards : IDisposable
{
    internal const string MetaFile = "tokens.json";

    private readonly Dictionary<string, TokenSource> sources;

    private TokenShards(TokenShardsMeta meta, Dictionary<string, TokenSource> sources)
    {
        Meta = meta;
        this.sources = sources;
    }

    /// <summary>What <c>tokens.json</c> says.</summary>
    public TokenShardsMeta Meta { get; }

    /// <summary>The stream of the source of this name.</summary>
    /// <exception cref="LandmarkException">There is no such source.</exception>
    public TokenSource this[string name] =>
        sources.TryGetValue(name, out var source)
            ? source
            : throw new LandmarkException(
                $"The token shards have no source '{name}'; they have {string.Join(", ", sources.Keys)}.");

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

        var sources = new Dictionary<string, TokenSource>(StringComparer.Ordinal);
        foreach (var source in meta.Sources)
        {
            var path = Path.Combine(folder, source.File);
            var found = new FileInfo(path) is { Exists: true } file ? file.Length : -1;
            if (found != source.Tokens * meta.BytesPerToken)
                throw new LandmarkException(
                    $"The token file {path} has {(found < 0 ? "gone" : $"{found} bytes")}, expected "
                    + $"{source.Tokens * meta.BytesPerToken} bytes; make the shards again.");
            sources.Add(source.Name, TokenSource.Map(path, meta.BytesPerToken));
        }
        return new TokenShards(meta, sources);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var source in sources.Values) source.Dispose();
    }

    private static TokenShardsMeta ReadMeta(string path)
    {
        try
        {
            var meta = JsonSerializer.Deserialize(File.ReadAllBytes(path), TokenShardsJson.Default.TokenShardsMeta);
            if (meta is { Vocabulary: not null, BytesPerToken: 2 or 4, Sources.Count: > 0 }
                && meta.Sources.All(s => s is { Name: not null, File: not null, Tokens: > 0, Documents: not null })
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
/// <param name="Vocabulary">A fingerprint of the tokenizer that made the tokens.</param>
/// <param name="BytesPerToken">2 or 4: ids are little-endian unsigned integers of this size.</param>
/// <param name="EndOfText">The token after each document.</param>
/// <param name="Sources">The sources, in the order in which they were given.</param>
public sealed record TokenShardsMeta(
    string Vocabulary, int BytesPerToken, int EndOfText, IReadOnlyList<TokenShard> Sources);

/// <summary>One source of text in the shards.</summary>
/// <param name="Name">Its name.</param>
/// <param name="File">Its file, beside <c>tokens.json</c>.</param>
/// <param name="Tokens">The number of tokens, the end-of-text tokens counted.</param>
/// <param name="Documents">Where each document starts, in tokens.</param>
public sealed record TokenShard(string Name, string File, long Tokens, IReadOnlyList<long> Documents);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TokenShardsMeta))]
internal sealed partial class TokenShardsJson : JsonSerializerContext;
