using System.Runtime.InteropServices;
using System.Text.Json;
using LandmarkSharp.Text;
using LandmarkSharp.Training.Corpus;

namespace LandmarkSharp.Training;

/// <summary>Turns files of texts into <see cref="TokenShards"/>.</summary>
/// <param name="encode">The tokenizer's encoding of a text, without special tokens around it; thread-safe.</param>
/// <param name="vocabularySize">The number of token ids: up to 65,536 are stored in 2 bytes each.</param>
/// <param name="endOfText">The token put after each document.</param>
/// <param name="vocabulary">A fingerprint of the tokenizer, checked when the shards are opened.</param>
public sealed class TokenShardsBuilder(
    Func<string, int[]> encode, int vocabularySize, int endOfText, string vocabulary)
{
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

    /// <summary>The field of JSON Lines, or the column of Parquet and Arrow, that holds the text.</summary>
    public string Column { get; init; } = "text";

    /// <summary>Whether a file or row that gives no document is an error; otherwise it is skipped and counted.</summary>
    public bool Strict { get; init; }

    /// <summary>Is told how far the work is, from time to time.</summary>
    public IProgress<TokenShardsProgress>? Progress { get; init; }

    /// <summary>
    /// Encodes every source and writes the folder. A source is a file or a folder of files: text (<c>*.txt</c>, a document
    /// each), JSON Lines, Parquet or Arrow (a document a row), each plain or compressed by zstd, in the order of their paths.
    /// They are read in pieces and encoded in parallel, so a file may be larger than memory.
    /// </summary>
    /// <param name="output">
    /// The folder to write; made if it is not there. Files of the same names are replaced when all new ones are whole.
    /// </param>
    /// <param name="sources">Names (which become file names) and paths.</param>
    /// <param name="cancellation">Stops the work; the folder then has what it had before.</param>
    /// <exception cref="LandmarkException">
    /// A name is no name or occurs twice, a source has no document, with <see cref="Strict"/> anything of it is none, or the disk refuses.
    /// </exception>
    public TokenShardsReport Build(
        string output, IReadOnlyList<(string Name, string Path)> sources, CancellationToken cancellation = default)
    {
        CheckNames(sources);
        var files = sources.Select(s => CorpusFile.Enumerate(s.Path)).ToList();
        WholeFiles.Guard(output, () => Directory.CreateDirectory(output));
        var meta = new TokenShardsMeta(
            TokenShards.Layout, vocabulary, vocabularySize <= 1 << 16 ? 2 : 4, endOfText, [.. sources.Select(s => TokenShard.Named(s.Name))]);
        string[] written =
        [
            .. meta.Sources.SelectMany(s => (string[])[s.File, s.Starts]).Append(TokenShards.MetaFile).Select(f => Path.Combine(output, f)),
        ];
        var work = new Work(this, meta.BytesPerToken, files, cancellation);
        try
        {
            meta = meta with { Sources = [.. meta.Sources.Select((s, i) => work.Write(output, s, sources[i].Path, files[i]))] };
            WholeFiles.WritePartial(written[^1], file => JsonSerializer.Serialize(file, meta, TokenShardsJson.Default.TokenShardsMeta));
            // All is on the disk before the first old file goes. Killed in between, the folder has no description, and nobody
            // takes the old one for that of the new files.
            File.Delete(written[^1]);
            foreach (var file in written) WholeFiles.Commit(file);
        }
        finally
        {
            foreach (var file in written) WholeFiles.TryDelete(file + WholeFiles.Partial);
        }
        return work.Report;
    }

    private static void CheckNames(IReadOnlyList<(string Name, string Path)> sources)
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
    }

    /// <summary>The tokens of pieces, each by itself.</summary>
    private List<int>?[] Encode(List<TextPiece?> pieces) => [.. pieces.Select(p => p is { } piece ? Encode(piece) : null)];

    private List<int> Encode(TextPiece piece)
    {
        var tokens = new List<int>(piece.Text.Length / 3);
        encoder.Append(piece.Text, tokens, piece.StartsDocument);
        if (piece.EndsDocument) tokens.Add(endOfText);
        foreach (var token in tokens)
            if ((uint)token >= (uint)vocabularySize)
                throw new LandmarkException(
                    $"The tokenizer gave the token {token}, but its vocabulary has {vocabularySize}; check its files.");
        return tokens;
    }

    /// <summary>One run of a builder: what it has read, written and skipped so far.</summary>
    private sealed class Work
    {
        private readonly TokenShardsBuilder builder;
        private readonly int bytesPerToken;
        private readonly CancellationToken cancellation;
        private readonly CorpusReader reader;
        private readonly List<TokenShardsReport.Source> done = [];
        private readonly List<SkippedText> named = [];
        private readonly (int Files, long Bytes) all;
        // Of the source that is being written.
        private SkippedText? first;
        private long skipped;

        public Work(
            TokenShardsBuilder builder, int bytesPerToken, List<IReadOnlyList<CorpusFile>> files, CancellationToken cancellation)
        {
            (this.builder, this.bytesPerToken, this.cancellation) = (builder, bytesPerToken, cancellation);
            all = (files.Sum(f => f.Count), files.Sum(f => f.Sum(file => file.Length)));
            reader = new CorpusReader(new TextPieces(builder.encoder.Splits), builder.Column, Skip);
        }

        public TokenShardsReport Report => new(done, named);

        /// <summary>Writes the files of a source, under the names of unfinished ones.</summary>
        public TokenShard Write(string output, TokenShard source, string path, IReadOnlyList<CorpusFile> files)
        {
            (first, skipped) = (null, 0);
            using var writer = new ShardWriter(
                Path.Combine(output, source.File + WholeFiles.Partial), Path.Combine(output, source.Starts + WholeFiles.Partial), bytesPerToken);
            foreach (var (pieces, tokens) in InParallel(Batches(reader.Read(files)), builder.Encode))
            {
                foreach (var (piece, ids) in pieces.Zip(tokens))
                {
                    if (ids is null) writer.Forget();
                    else writer.Append(CollectionsMarshal.AsSpan(ids));
                    if (piece is { EndsDocument: true }) writer.End();
                }
                builder.Progress?.Report(new TokenShardsProgress(
                    reader.FilesRead, all.Files, reader.BytesRead, all.Bytes,
                    done.Sum(d => d.Documents) + writer.Documents, done.Sum(d => d.Tokens) + writer.Tokens));
            }
            writer.Finish();
            if (writer.Documents == 0)
                throw new LandmarkException(
                    $"There is no document in '{path}', as {first?.ToString() ?? "its files have no rows"}"
                    + $"{(skipped > 1 ? $" (and {skipped - 1:N0} more)" : "")}; give files with text in them.");
            done.Add(new(source.Name, files.Count, writer.Documents, writer.Tokens, skipped));
            return source with { Tokens = writer.Tokens, DocumentCount = writer.Documents };
        }

        /// <summary>Works on several items at a time, a few ahead of the one that is taken, and keeps their order.</summary>
        private IEnumerable<(TIn Item, TOut Result)> InParallel<TIn, TOut>(IEnumerable<TIn> items, Func<TIn, TOut> work)
        {
            var ahead = new Queue<Task<(TIn, TOut)>>();
            foreach (var item in items)
            {
                cancellation.ThrowIfCancellationRequested();
                ahead.Enqueue(Task.Run(() => (item, work(item)), CancellationToken.None));
                if (ahead.Count > 2 * Environment.ProcessorCount) yield return ahead.Dequeue().GetAwaiter().GetResult();
            }
            while (ahead.TryDequeue(out var next))
            {
                yield return next.GetAwaiter().GetResult();
                cancellation.ThrowIfCancellationRequested();
            }
        }

        /// <summary>Documents may be short: as much text at a time as is worth a task.</summary>
        private static IEnumerable<List<TextPiece?>> Batches(IEnumerable<TextPiece?> pieces)
        {
            var (batch, characters) = (new List<TextPiece?>(), 0);
            foreach (var piece in pieces)
            {
                batch.Add(piece);
                characters += piece?.Text.Length ?? 0;
                if (characters < TextPieces.Length) continue;
                yield return batch;
                (batch, characters) = ([], 0);
            }
            if (batch.Count > 0) yield return batch;
        }

        private void Skip(SkippedText text)
        {
            if (builder.Strict) throw new LandmarkException($"{text}; mend or remove it, or leave strict off to skip it.");
            first ??= text;
            skipped++;
            if (named.Count < TokenShardsReport.MostNamed) named.Add(text);
        }
    }
}
