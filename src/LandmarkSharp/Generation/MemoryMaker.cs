using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Generation;

/// <summary>
/// Reads documents into a memory file, each alone and from its own beginning, exactly as a <see cref="Session"/> reads a text. Blocks go
/// to the file as they become complete, so that a text of any length takes little memory beside its landmark keys. What it did is
/// committed as it goes, and what a process that was killed did not finish goes on where it was committed. Used by one thread at a time.
/// </summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load("models/landmark-10m");
/// using var writer = MemoryFileWriter.Create("books.memory", engine.MemoryModel(), ScalarType.Int8);
/// var maker = new MemoryMaker(engine, writer) { HotBytes = 64 &lt;&lt; 20 };
/// foreach (var path in Directory.EnumerateFiles("books"))
/// {
///     using var text = TextFile.Open(path);
///     maker.Add(Path.GetFileName(path), text);
/// }
/// writer.Commit();
/// </code>
/// </example>
public sealed class MemoryMaker
{
    private const int SegmentBlocks = 256, CommitBlocks = 128;

    private readonly LandmarkEngine engine;
    private readonly MemoryFileWriter writer;
    private readonly Stopwatch sinceCommit = Stopwatch.StartNew();
    private long blocksSinceCommit;
    private double passSeconds = double.PositiveInfinity;       // as the last segment took

    /// <summary>Makes one for a file.</summary>
    /// <param name="engine">The model, on the CPU; how it reads is how the documents are read, but for the type of blocks, which is the file's.</param>
    /// <param name="writer">The file.</param>
    /// <exception cref="LandmarkException">The file is another model's, or the model cannot read for it.</exception>
    public MemoryMaker(LandmarkEngine engine, MemoryFileWriter writer)
    {
        engine.MemoryModel().Require(writer.FilePath, writer.Model);
        var retrieval = engine.Retrieval! with { BlockType = writer.Type };
        if (engine.Decoder.Device.type != TorchSharp.DeviceType.CPU)
            throw new LandmarkException("A memory is made on the CPU alone; load the model there.");
        if (retrieval.WindowIsCall)
            throw new LandmarkException("A memory cannot be made where the window is what is computed at once; leave out WindowIsCall.");
        BlockType.Of(retrieval, engine.Decoder.ComputeType, engine.Decoder.Device);
        (this.engine, this.writer) = (engine.With(retrieval), writer);
    }

    /// <summary>
    /// Bytes of blocks that are kept in memory; null leaves it to the system. What one window reads in one layer is there while it does, also if
    /// that is more; landmark keys and the window itself come on top.
    /// </summary>
    public long? HotBytes { get; init; }

    /// <summary>
    /// How often what was read is committed, about, and after 128 blocks at the latest; a segment of the file takes as long, and has 256
    /// blocks at most. So a process that is killed loses twice that, or what it read in 384 blocks.
    /// </summary>
    public TimeSpan CommitEvery { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Reads a document into the file. One of that name that is not complete goes on where it stopped; one that is, of the same text, is left
    /// as it is. The caller commits at the end.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">The text, from its beginning; read to its end, not disposed.</param>
    /// <param name="replace">Whether another document of that name is replaced; one that is complete is made anew whatever its text.</param>
    /// <param name="progress">Told after each pass.</param>
    /// <param name="cancel">Stops between passes; what was committed stays.</param>
    /// <exception cref="LandmarkException">
    /// There is another text of that name; there is no text, or it spells a token that is not the model's; the model computes no numbers;
    /// what is there is damaged; or the disk refuses.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public MemoryDocument Add(
        string name, TextReader text, bool replace = false, IProgress<MemoryProgress>? progress = null, CancellationToken cancel = default)
    {
        MemoryDocument? made = null;
        foreach (var step in Steps(name, text, replace, cancel))
        {
            if (step is { Made: null, NewTokens: > 0 }) progress?.Report(step);
            made = step.Made;
        }
        return made!;
    }

    /// <summary>
    /// The same a step at a time, for one who has other things to compute meanwhile: the first one finds out what is there, each other reads a
    /// pass, and the last one tells what was made. Who takes no more of them loses what belongs to no segment yet.
    /// </summary>
    /// <inheritdoc cref="Add"/>
    public IEnumerable<MemoryProgress> Steps(string name, TextReader text, bool replace = false, CancellationToken cancel = default)
    {
        if (HotBytes < 0) throw new LandmarkException($"{HotBytes} bytes of blocks cannot be kept in memory; give 0 or more.");
        var source = new TokenizedText(engine, text);
        var marks = engine.Tokenizer.AddsBos ? 1 : 0;
        if (source.Read(marks + 1) <= marks) throw new LandmarkException($"The document {MemoryDamage.Quote(name)} has no text; give one that has.");
        var there = Begin(name, source, replace);
        var old = there.Complete ? there.Tokens : there.Blocks * writer.Model.BlockTokens;
        if (!there.Complete)
        {
            using var prefill = new DocumentPrefill(engine, HotBytes);
            if (old > 0) Resume(there, source, prefill, cancel);
            yield return new MemoryProgress(name, old, 0);
            for (var read = old; source.Read(1) > 0;)
            {
                var before = read;
                foreach (var more in AddSegment(name, source, prefill, cancel))
                {
                    read = before + more;
                    yield return new MemoryProgress(name, read, read - old);
                }
            }
            // The last segment is never committed without: nothing can follow a block that was filled up.
            writer.Documents.Complete(name);
            CommitWhenDue();
        }
        var made = Find(name)!;
        yield return new MemoryProgress(name, made.Tokens, made.Tokens - old)
        {
            Made = new MemoryDocument(name, made.Tokens, made.Blocks, made.Bytes, made.Tokens - old, source.IsVerbatim),
        };
    }

    /// <summary>Whether a document is there, complete and of this text.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">The text, from its beginning; read as far as it is the same, not disposed.</param>
    /// <exception cref="LandmarkException">It spells a token that is not the model's, or what is there is damaged.</exception>
    public bool Has(string name, TextReader text) => Find(name) is { Complete: true } entry && Begins(new TokenizedText(engine, text), entry);

    private MemoryEntry? Find(string name) => writer.Documents.All.FirstOrDefault(d => d.Name == name)?.Written;

    /// <summary>Has the document begun in the file.</summary>
    /// <returns>What is there of it, with which its text begins.</returns>
    private MemoryEntry Begin(string name, TokenizedText source, bool replace)
    {
        if (Find(name) is not { } entry)
        {
            writer.Documents.Add(name);
        }
        else if ((entry.Complete && replace) || !Begins(source, entry))
        {
            if (!replace)
                throw new LandmarkException(
                    $"There is another text by the name {MemoryDamage.Quote(name)} in {writer.FilePath}; replace it, or choose another name.");
            writer.Documents.Replace(name);
        }
        return Find(name)!;
    }

    /// <summary>Whether a text begins with what is there of a document, or is that where the document is complete.</summary>
    private bool Begins(TokenizedText source, MemoryEntry entry)
    {
        var at = 0;
        for (var segment = 0; segment < entry.Segments.Count; segment++)
        {
            var tokens = writer.ReadText(entry, segment).Tokens;
            if (source.Read(at + tokens.Length) < at + tokens.Length || !source.Tokens.Skip(at).Take(tokens.Length).SequenceEqual(tokens)) return false;
            at += tokens.Length;
        }
        return !entry.Complete || source.Read(at + 1) == at;
    }

    /// <summary>Goes on after the blocks that are there; the tokens of a tail are read with what follows them.</summary>
    private void Resume(MemoryEntry there, TokenizedText source, DocumentPrefill prefill, CancellationToken cancel)
    {
        // Passes as they would have been: then numbers are the same to the last bit.
        if (there.Blocks % prefill.PassBlocks != 0)
            throw new LandmarkException(
                $"The document {MemoryDamage.Quote(there.Name)} stopped after {there.Blocks:N0} blocks, which are no passes of {prefill.PassBlocks}; "
                + "go on with the windows with which it was begun, or replace it.");
        var tokens = checked((int)(there.Blocks * writer.Model.BlockTokens));
        source.Read(tokens + 1);
        source.Take(tokens);
        if (blocksSinceCommit > 0) Commit();
        using var file = MemoryFile.Open(writer.FilePath, writer.Model);
        prefill.StartAfter(writer, file, [.. there.Segments.Where(s => s.Blocks > 0)], cancel);
    }

    /// <summary>Reads a segment, and tells after each pass how many of its tokens have been read.</summary>
    private IEnumerable<int> AddSegment(string name, TokenizedText source, DocumentPrefill prefill, CancellationToken cancel)
    {
        var (tokens, pass) = (writer.Model.BlockTokens, prefill.PassBlocks);
        var passes = (int)Math.Clamp(CommitEvery.TotalSeconds / passSeconds, 1, Math.Max(1, SegmentBlocks / pass));
        var most = passes * pass * tokens;
        // One more tells whether the text ends there.
        var text = source.Take(Math.Min(most, source.Read(most + 1)));
        var blocks = (text.Tokens.Length + tokens - 1) / tokens;
        // The last block is filled up by repeating its last token.
        int[] filled = [.. text.Tokens, .. Enumerable.Repeat(text.Tokens[^1], (blocks * tokens) - text.Tokens.Length)];
        var clock = Stopwatch.StartNew();
        using (var segment = writer.Documents.Begin(name, text, filled.Length > text.Tokens.Length))
        {
            foreach (var read in prefill.Read(segment, filled, cancel)) yield return Math.Min(read, text.Tokens.Length);
            segment.Finish();
        }
        passSeconds = clock.Elapsed.TotalSeconds * pass / blocks;
        blocksSinceCommit += blocks;
        if (source.Read(1) > 0) CommitWhenDue();
    }

    private void CommitWhenDue()
    {
        if (blocksSinceCommit >= CommitBlocks || sinceCommit.Elapsed >= CommitEvery) Commit();
    }

    private void Commit()
    {
        writer.Commit();
        blocksSinceCommit = 0;
        sinceCommit.Restart();
    }
}
