using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>
/// One text, read and continued: append text, generate, append more, wherever in a block it stopped. How the text is cut into
/// calls changes nothing, and neither does whether a token was read or generated. Used by one thread at a time.
/// </summary>
/// <remarks>
/// Positions are computed in the memory's chunks; the last tokens wait until their chunk is full or something is asked, so the
/// last one always waits, and its prediction is never needed before it has been computed.
/// </remarks>
public sealed partial class Session : IDisposable
{
    private const int Slice = 4096;
    private const int AnswerRoom = 256;         // or the memory, made to measure, is copied whole for the first tokens of an answer

    private readonly LandmarkEngine engine;
    private readonly OpenMemory? opened;
    private readonly ContextMemory memory;
    private readonly LandmarkConfig? landmark;
    private readonly LandmarkStream? stream;
    private readonly List<int> text = [];
    private readonly List<int> waiting = [];    // positions not computed yet, landmarks included
    private Tensor? last;                       // [1, D]: the state that predicts the token after what is computed

    internal Session(LandmarkEngine engine, ContextMemory memory, OpenMemory? opened = null, SavedSession? saved = null)
    {
        (this.engine, this.memory, this.opened, landmark) = (engine, memory, opened, engine.Config.Landmark);
        stream = landmark is { } l ? new LandmarkStream(l.BlockTokens, l.Id) : null;
        Trace = NewTrace(new GenerationOptions());
        (Name, Changes) = (saved?.Name, saved?.Changes);
        if (saved?.Version is { } version) versions.Add(version);
        text.AddRange(saved?.Held ?? []);
        Push(saved?.Waiting ?? [.. opened?.Tail ?? []]);
    }

    /// <summary>
    /// The regular tokens read and generated so far; landmarks are not among them, nor are those that stand in the blocks of a memory with
    /// which the session began. Where there is one, the tokens at its end that fill no block come first.
    /// </summary>
    public IReadOnlyList<int> Tokens => text;

    /// <summary>How many of <see cref="Tokens"/> have keys and values; the last ones wait.</summary>
    public int Computed => text.Count - Waiting;

    /// <summary>
    /// Blocks of what was read and generated so far, those of a memory with which the session began and the unfinished one counted; 0 for a
    /// model without landmarks.
    /// </summary>
    public long Blocks => landmark is { } l ? Opened + ((text.Count + l.BlockTokens - 1) / l.BlockTokens) : 0;

    /// <summary>Bytes of keys and values held, without those of a memory with which the session began.</summary>
    public long MemoryBytes => memory.Bytes;

    /// <summary>Retrievals that the text's tokens, heads and layers could have made so far; 0 for a model without a context-miss token.</summary>
    public long Retrievals => (memory as BlockMemory)?.Retrievals ?? 0;

    /// <summary>Those of them that were dropped, since the context-miss token had less than the cut-off.</summary>
    public long DroppedRetrievals => (memory as BlockMemory)?.Dropped ?? 0;

    /// <summary>What the last answer was read from.</summary>
    public RetrievalTrace Trace { get; private set; }

    /// <summary>Reads a text on from where the session stands. At its start, the mark that the model expects there is put first.</summary>
    /// <param name="more">Any text.</param>
    /// <param name="progress">Told how many tokens have been read.</param>
    /// <param name="cancel">Stops between chunks; what was read stays.</param>
    /// <exception cref="LandmarkException">
    /// The text spells a token that is not the model's, there is no memory for it, or the model computes no numbers.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Append(string more, IProgress<long>? progress = null, CancellationToken cancel = default) =>
        Append(engine.Tokenizer.Encode(more, addSpecial: AddsMark, atStart: IsAtStart), progress, cancel);

    /// <summary>Reads a text of any length as it comes, in bounded memory beside the keys and values.</summary>
    /// <inheritdoc cref="Append(string, IProgress{long}?, CancellationToken)"/>
    public void Append(TextReader more, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        var atStart = IsAtStart;
        if (AddsMark) Append([engine.Tokenizer.BosId!.Value], progress, cancel);
        foreach (var piece in engine.Tokenizer.EncodePieces(more, atStart: atStart))
            Append(piece, progress, cancel);
    }

    /// <summary>Reads tokens on from where the session stands.</summary>
    /// <param name="tokens">Regular tokens; landmarks are put in on the way.</param>
    /// <param name="progress">Told how many tokens have been read.</param>
    /// <param name="cancel">Stops between chunks; what was read stays.</param>
    /// <exception cref="LandmarkException">
    /// A token is not the model's, or is the landmark; there is no memory for them; or the model computes no numbers.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Append(ReadOnlySpan<int> tokens, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        engine.RequireRegular(tokens);
        Reserve(tokens.Length);
        for (; tokens.Length > 0; tokens = tokens[Math.Min(Slice, tokens.Length)..])
        {
            Push(tokens[..Math.Min(Slice, tokens.Length)]);
            while (waiting.Count > memory.Room)
            {
                cancel.ThrowIfCancellationRequested();
                Run(memory.Room);
                progress?.Report(text.Count - Waiting);
            }
        }
        progress?.Report(text.Count);
    }

    /// <summary>Goes on with the text, token by token.</summary>
    /// <param name="options">How tokens are chosen and when to stop.</param>
    /// <param name="cancel">Stops between tokens; what was generated stays part of the text.</param>
    /// <returns>
    /// Steps as they come; the last one says why it ended. A token that ends the text, unlike a stop string's, does not become
    /// part of the session.
    /// </returns>
    /// <exception cref="LandmarkException">
    /// An option is out of range, the session has read nothing, or reads are to be recorded of a model without landmarks; while it steps,
    /// the model computes no numbers.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled, while it steps.</exception>
    public IEnumerable<GeneratedToken> Generate(GenerationOptions options, CancellationToken cancel = default)
    {
        if (text.Count == 0)
            throw new LandmarkException("There is nothing to go on with: append a text first.");
        if (options.RecordReads && memory is not BlockMemory)
            throw new LandmarkException("A model without landmarks reads all of the text, and no blocks of it; leave out the record of what is read.");
        return Steps(options.Checked(), cancel);
    }

    /// <summary>
    /// Blocks as passages: of a memory's documents with their names, placed in the document's text, and of the session's own text, placed
    /// as <see cref="LandmarkEngine.Passages"/> does.
    /// </summary>
    /// <param name="blocks">Numbers of blocks, as <see cref="Trace"/> has them, in any order.</param>
    /// <returns>In the order of the blocks, each once.</returns>
    /// <exception cref="LandmarkException">There is no such block, or a document's text is damaged.</exception>
    public IReadOnlyList<Passage> Passages(IEnumerable<long> blocks) =>
        opened is null ? engine.Passages(text, blocks) : MemoryPassages.Of(engine.Tokenizer, opened.Texts, text, blocks);

    /// <inheritdoc/>
    public void Dispose()
    {
        last?.Dispose();
        memory.Dispose();
    }

    private bool IsAtStart => text.Count == 0 && Opened == 0;

    private bool AddsMark => IsAtStart && engine.Tokenizer.AddsBos;

    /// <summary>Blocks of the memory with which the session began.</summary>
    private long Opened => opened?.Blocks ?? 0;

    /// <summary>Positions that the last regular token takes: with the landmark after it, two.</summary>
    private int Trailing => stream is { Phase: 0 } ? 2 : 1;

    /// <summary>Regular tokens that wait.</summary>
    private int Waiting => landmark is { } l ? waiting.Count(t => t != l.Id) : waiting.Count;

    private IEnumerable<GeneratedToken> Steps(GenerationOptions options, CancellationToken cancel)
    {
        var sampler = new Sampler(options, [.. landmark?.OwnTokens ?? []]);
        var filter = new StopFilter(options.Stop);
        var decoder = engine.Tokenizer.CreateDecoder(atStart: false);
        Trace = NewTrace(options);
        while (waiting.Count > Trailing)
        {
            cancel.ThrowIfCancellationRequested();
            Run(Math.Min(memory.Room, waiting.Count - Trailing));
        }

        for (var n = 1; n <= options.MaxTokens; n++)
        {
            cancel.ThrowIfCancellationRequested();
            var logits = NextLogits();
            var likely = options.LogProbabilities is { } count ? TokenLogProbabilities.Of(logits, landmark?.OwnTokens ?? [], count) : null;
            var id = sampler.Next(logits, text);
            var (reads, probabilities) = (Trace.Recorder?.Take(), likely?.Invoke(id));
            if (options.StopAtEndOfText && EndsText(id))
            {
                yield return new GeneratedToken(id, filter.Push(decoder.Flush()) + filter.Flush(), FinishReason.EndOfText)
                {
                    Reads = reads,
                    LogProbabilities = probabilities,
                };
                yield break;
            }
            Push([id]);
            var shown = filter.Push(decoder.Push(id));
            var full = n == options.MaxTokens && !filter.Stopped;
            if (full) shown += filter.Push(decoder.Flush()) + filter.Flush();
            yield return new GeneratedToken(id, shown, filter.Stopped ? FinishReason.Stop : full ? FinishReason.Length : null)
            {
                Reads = reads,
                LogProbabilities = probabilities,
            };
            if (filter.Stopped) yield break;
        }
    }

    private RetrievalTrace NewTrace(GenerationOptions options) => new(landmark?.BlockTokens ?? 1, engine.Retrieval?.KeepBlocks)
    {
        Recorder = options.RecordReads ? new ReadRecorder(engine.Config.Layers, engine.Config.Heads, options.RecordTokenShares) : null,
    };

    private bool EndsText(int id) => engine.Config.EosIds.Contains(id) || engine.Tokenizer.EosId == id;

    /// <summary>Computes what waits, watching what it reads, and gives the logits of the next token, [V].</summary>
    private float[] NextLogits()
    {
        if (memory is BlockMemory watched) Trace.Recorder?.Begin(watched.InMemory);
        RunWatched(Trace.Add, Trace.Recorder is { RecordsTokens: true });
        Trace.BlockCount = Blocks;
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        return [.. engine.Decoder.Logits(last!).to(ScalarType.Float32).cpu().contiguous().data<float>()];
    }

    /// <summary>Computes what waits, and tells what it reads.</summary>
    private void RunWatched(ReadObserver observer, bool tokens = false)
    {
        var watched = memory as BlockMemory;
        try
        {
            watched?.Observer = observer;
            watched?.ObservesTokens = tokens;
            while (waiting.Count > 0) Run(Math.Min(memory.Room, waiting.Count));
        }
        finally
        {
            watched?.Observer = null;
        }
    }

    private void Push(ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens) text.Add(token);
        if (stream is null) waiting.AddRange(tokens);
        else stream.Push(tokens, waiting);
    }

    private void Reserve(int more)
    {
        engine.RequireRoom(more);       // beside what is held: it is not free any more
        var tokens = text.Count + (long)more + AnswerRoom;
        memory.Reserve(landmark is { } l ? LandmarkStream.CountWithLandmarks((Opened * l.BlockTokens) + tokens, l.BlockTokens) : tokens);
    }

    /// <summary>Computes the first positions that wait.</summary>
    private void Run(int count, Action<Tensor>? see = null)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var ids = waiting.Take(count).Select(t => (long)t).ToArray();
        memory.Begin(count);
        var hidden = engine.Decoder.Forward(tensor(ids, device: engine.Decoder.Device).unsqueeze(0), memory).squeeze(0); // [T, D]
        var at = count - 1;
        while (at >= 0 && !Predicts(at)) at--;
        var state = at < 0 ? null : Finite.Checked(hidden.narrow(0, at, 1).clone());
        see?.Invoke(hidden);

        // Nothing can fail any more: only now does the pass count.
        memory.End();
        if (state is not null)
        {
            last?.Dispose();
            last = state.DetachFromDisposeScope();
        }
        waiting.RemoveRange(0, count);
    }

    /// <summary>
    /// Whether the state at a waiting position predicts the next regular token, by the policy the
    /// model was trained with.
    /// </summary>
    private bool Predicts(int i) =>
        landmark is not { } l || l.Predicts(waiting[i], i + 1 < waiting.Count ? waiting[i + 1] : null);
}
