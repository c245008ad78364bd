using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using LandmarkSharp.Text;

namespace LandmarkSharp.Training;

/// <summary>Turns folders of text files into <see cref="TokenShards"/>.</summary>
/// <param name="encode">The tokenizer's encoding of a text, without special tokens around it; thread-safe.</param>
/// <param name="vocabularySize">The number of token ids: up to 65,536 are stored in 2 bytes each.</param>
/// <param name="endOfText">The token put after each document.</param>
/// <param name="vocabulary">A fingerprint of the tokenizer, checked when the shards are opened.</param>
public sealed class TokenShardsBuilder(
    Func<string, int[]> encode, int vocabularySize, int endOfText, string vocabulary)
{
    private const int ChunkCharacters = 1 << 18;
    private const string Partial = ".partial";

    private readonly FragmentEncoder encoder = new(encode);

    /// <summary>Encodes with a tokenizer, its end-of-text token after each document.</summary>
    /// <exception cref="LandmarkException">The tokenizer has no end-of-text token.</exception>
    public TokenShardsBuilder(Tokenizer tokenizer)
        : this(
            text => tokenizer.Encode(text),
            tokenizer.VocabularySize,
            tokenizer.EosId ?? throw new LandmarkException(
                "The tokenizer has no end-of-text token, which goes between documents; choose one that has."),
            tokenizer.Fingerprint)
    {
    }

    /// <summary>
    /// Encodes every source and writes the folder. A source is a text file or a folder whose <c>*.txt</c> files, at any
    /// depth, are its documents in the order of their paths. Text is read in pieces and encoded in parallel, so a file
    /// may be larger than memory.
    /// </summary>
    /// <param name="output">
    /// The folder to write; made if it is not there. Files of the same names are replaced when all new ones are whole.
    /// </param>
    /// <param name="sources">Names (which become file names) and paths.</param>
    /// <param name="cancellation">Stops the work; the folder then has what it had before.</param>
    /// <exception cref="LandmarkException">
    /// A name is no name or occurs twice, a source has no text, or a file of it is not text.
    /// </exception>
    public TokenShardsMeta Build(
        string output, IReadOnlyList<(string Name, string Path)> sources, CancellationToken cancellation = default)
    {
        foreach (var (name, _) in sources)
        {
            if (name is "" or ['.', ..] || !name.All(c => char.IsLetterOrDigit(c) || c is '.' or '_' or '-'))
                throw new LandmarkException(
                    $"The source's name '{name}' is no file name; give one of letters, digits, '.', '_' and '-' "
                    + "that does not begin with a dot.");
            // Some file systems do not tell capitals from small letters.
            if (sources.Count(s => s.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) > 1)
                throw new LandmarkException($"There are several sources named '{name}'; give each its own name.");
        }
        Directory.CreateDirectory(output);
        var bytes = vocabularySize <= 1 << 16 ? 2 : 4;
        var shards = new List<TokenShard>();
        var meta = new TokenShardsMeta(vocabulary, bytes, endOfText, shards);
        string[] files = [.. sources.Select(s => Path.Combine(output, s.Name + ".bin")), Path.Combine(output, TokenShards.MetaFile)];
        try
        {
            foreach (var (name, path) in sources) shards.Add(Write(output, name, path, bytes, cancellation));
            File.WriteAllBytes(files[^1] + Partial, JsonSerializer.SerializeToUtf8Bytes(meta, TokenShardsJson.Default.TokenShardsMeta));
            // All is on the disk before the first old file goes. Killed in between, the folder has no description, and nobody
            // takes the old one for that of the new files.
            File.Delete(files[^1]);
            foreach (var file in files) File.Move(file + Partial, file, overwrite: true);
        }
        catch (AggregateException e)
        {
            // What goes wrong on a worker thread comes wrapped.
            ExceptionDispatchInfo.Throw(e.Flatten().InnerExceptions[0]);
        }
        finally
        {
            foreach (var file in files) File.Delete(file + Partial);
        }
        return meta;
    }

    private TokenShard Write(string output, string name, string path, int bytes, CancellationToken cancellation)
    {
        var documents = new List<long>();
        var count = 0L;
        var file = name + ".bin";
        using var stream = File.Create(Path.Combine(output, file + Partial));
        var encoded = Chunks(TextFile.Enumerate(path))
            .AsParallel().AsOrdered().WithCancellation(cancellation)
            .WithMergeOptions(ParallelMergeOptions.NotBuffered)
            .Select(chunk => (chunk.StartsDocument, Tokens: Encode(chunk)));
        foreach (var (startsDocument, tokens) in encoded)
        {
            if (startsDocument) documents.Add(count);
            count += tokens.Count;
            WriteTokens(stream, CollectionsMarshal.AsSpan(tokens), bytes);
        }
        return new TokenShard(name, file, count, documents);
    }

    private List<int> Encode(Chunk chunk)
    {
        var tokens = new List<int>(chunk.Text.Length / 3);
        encoder.Append(chunk.Text, tokens, chunk.StartsDocument);
        if (chunk.EndsDocument) tokens.Add(endOfText);
        return tokens;
    }

    private void WriteTokens(Stream stream, ReadOnlySpan<int> tokens, int bytes)
    {
        foreach (var token in tokens)
            if ((uint)token >= (uint)vocabularySize)
                throw new LandmarkException(
                    $"The tokenizer gave the token {token}, but its vocabulary has {vocabularySize}; check its files.");

        if (bytes == 4)
        {
            stream.Write(MemoryMarshal.AsBytes(tokens));
            return;
        }
        var narrow = new ushort[tokens.Length];
        for (var i = 0; i < narrow.Length; i++) narrow[i] = (ushort)tokens[i];
        stream.Write(MemoryMarshal.AsBytes<ushort>(narrow));
    }

    private IEnumerable<Chunk> Chunks(IReadOnlyList<string> files)
    {
        var buffer = new char[2 * ChunkCharacters];
        foreach (var file in files)
        {
            using var reader = TextFile.Open(file);
            var (held, first) = (0, true);
            while (true)
            {
                held += reader.ReadBlock(buffer.AsSpan(held));
                if (held < buffer.Length)
                {
                    yield return new Chunk(new string(buffer, 0, held), first, EndsDocument: true);
                    break;
                }
                // Cut before a space, so that both sides encode as the whole would; text without any is cut anywhere but
                // between the halves of a character.
                var cut = held - 1;
                while (cut > 1 && !(encoder.IsBoundary(buffer[cut]) && !encoder.IsBoundary(buffer[cut - 1]))) cut--;
                if (cut <= 1) cut = char.IsHighSurrogate(buffer[held - 1]) ? held - 1 : held;
                yield return new Chunk(new string(buffer, 0, cut), first, EndsDocument: false);
                buffer.AsSpan(cut, held - cut).CopyTo(buffer);
                (held, first) = (held - cut, false);
            }
        }
    }

    private readonly record struct Chunk(string Text, bool StartsDocument, bool EndsDocument);
}
