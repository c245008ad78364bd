using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// What reading k blocks loses on a text against reading all of it, which is dense landmark attention (landmark-attention.md 3.1). All
/// figures are of positions that have blocks before their window, for the others read the same; the window is the same for every k.
/// </summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load("models/landmark-10m");
/// var contexts = Perplexity.Contexts(engine.Tokenizer, File.OpenText("book.txt"), 1008).Take(8);
/// var fidelity = Fidelity.Measure(engine, contexts, [1, 2, 4, 8]);
/// var k = fidelity.Smallest(k => k.Attention.PastShare >= 0.95);
/// </code>
/// </example>
public sealed class Fidelity
{
    private const int ComparedAtOnce = 256;     // a vocabulary's logits for each, twice

    private readonly LandmarkEngine engine;
    private readonly FidelityOfK[] readings;
    private readonly LandmarkConfig landmark;
    private readonly int marks;
    private readonly long window;               // positions of it

    private Fidelity(LandmarkEngine engine, IReadOnlyList<int> topK)
    {
        landmark = engine.Config.Landmark
            ?? throw new LandmarkException(
                "A model without landmarks reads all of its text, so there is nothing to compare; give a model with landmarks.");
        if (engine.Retrieval!.WindowIsCall)
            throw new LandmarkException("Fidelity is measured with windows at fixed places; leave out that a window is a call.");
        if (topK.Count == 0) throw new LandmarkException("Fidelity is that of some number of blocks read; give one k or more.");
        foreach (var k in topK) (engine.Retrieval with { TopK = k }).Checked();
        this.engine = engine;
        readings = [.. topK.Distinct().Order().Select(k => new FidelityOfK(k, engine.Config.Layers))];
        marks = EvaluationSession.Marks(engine);
        window = (long)engine.Retrieval.WindowBlocks * landmark.BlockLength;
    }

    /// <summary>Each k's, the smallest first.</summary>
    public IReadOnlyList<FidelityOfK> Readings => readings;

    /// <summary>The smallest k of those measured for which something holds; null for none.</summary>
    public int? Smallest(Func<FidelityOfK, bool> enough) => readings.FirstOrDefault(enough)?.TopK;

    /// <summary>
    /// Reads each context once by dense attention and once for each k. At a time the keys and values of one reading are held, and of the
    /// dense one the last hidden states; dense attention's time grows with the square of a context.
    /// </summary>
    /// <param name="engine">A model with landmarks; its retrieval says all but k, and of it the dense reading forgets and drops nothing.</param>
    /// <param name="contexts">Regular tokens of each context; those without a block before their last token's window tell nothing.</param>
    /// <param name="topK">Numbers of blocks read, in any order.</param>
    /// <param name="progress">Told how many tokens have been read, those of each reading counted.</param>
    /// <param name="cancel">Stops between windows.</param>
    /// <exception cref="LandmarkException">
    /// The model has no landmarks, an option makes no sense, no context is long enough, or the model computes no numbers.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Fidelity Measure(
        LandmarkEngine engine, IEnumerable<int[]> contexts, IReadOnlyList<int> topK, IProgress<long>? progress = null,
        CancellationToken cancel = default) => Measure(engine, contexts, topK, null, progress, cancel);

    /// <summary>The same, dense attention's passes cut otherwise.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="contexts">What is read.</param>
    /// <param name="topK">The k.</param>
    /// <param name="pass">Positions that dense attention takes at once, a window's when null.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancel">Stops it.</param>
    internal static Fidelity Measure(
        LandmarkEngine engine, IEnumerable<int[]> contexts, IReadOnlyList<int> topK, int? pass, IProgress<long>? progress = null,
        CancellationToken cancel = default)
    {
        var fidelity = new Fidelity(engine, topK);
        using var quiet = inference_mode();
        var (read, longest) = (0L, 0);
        foreach (var context in contexts)
        {
            engine.RequireRegular(context);
            engine.RequireRoom(context.Length);
            longest = Math.Max(longest, context.Length);
            fidelity.Add(context, pass, done => progress?.Report(read + done), cancel);
            read += context.Length * (1L + fidelity.readings.Length);
        }
        if (fidelity.readings[0].Prediction.Tokens > 0) return fidelity;
        var blocks = engine.Retrieval!.WindowBlocks;
        throw new LandmarkException(
            $"With a window of {blocks} blocks a context of {longest:N0} tokens has no block before it, so all is read anyway; "
            + $"give {((long)blocks * fidelity.landmark.BlockTokens) + 2 - fidelity.marks:N0} tokens or more, or a smaller window.");
    }

    private void Add(int[] context, int? pass, Action<long> progress, CancellationToken cancel)
    {
        int[] marked = marks > 0 ? [engine.Tokenizer.BosId!.Value, .. context] : context;
        var ids = LandmarkStream.Insert(marked, landmark.BlockTokens, landmark.Id);
        if (ids.Length <= window) return;
        using var scope = NewDisposeScope();
        var states = new List<Tensor>();            // of the dense reading, from the second window on
        using (var dense = new DenseReading(engine, readings, ids.Length, Place))
        {
            for (int at = 0, count; at < ids.Length; at += count)
            {
                cancel.ThrowIfCancellationRequested();
                count = (int)Math.Min(Math.Min(pass ?? window, window - (at % window)), ids.Length - at);
                var hidden = Finite.Checked(dense.Read(ids[at..(at + count)]));
                if (at >= window) states.Add(hidden);
                progress((long)at * context.Length / ids.Length);
            }
        }
        var all = cat(states, 0);                   // [S − window, D]
        foreach (var (i, reading) in readings.Index())
            Compare(ids, all, reading, at => progress(((i + 1L) * context.Length) + (at * context.Length / ids.Length)), cancel);
    }

    /// <summary>Reads the context with k blocks, and compares what is predicted window by window.</summary>
    private void Compare(int[] ids, Tensor all, FidelityOfK reading, Action<long> progress, CancellationToken cancel)
    {
        using var memory = engine.With(engine.Retrieval! with { TopK = reading.TopK }).NewMemory();
        memory.Reserve(ids.Length);
        for (int at = 0, count; at < ids.Length; at += count)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            count = Math.Min(memory.Room, ids.Length - at);
            memory.Begin(count);
            var tokens = tensor(ids[at..(at + count)], ScalarType.Int64, engine.Decoder.Device).unsqueeze(0);
            var hidden = Finite.Checked(engine.Decoder.Forward(tokens, memory).squeeze(0)); // [T, D]
            memory.End();
            foreach (var rows in Enumerable.Range(at, count).Where(p => p >= window && Target(ids, p) is not null).Chunk(ComparedAtOnce))
            {
                using var part = NewDisposeScope();
                Tensor Rows(Tensor x, long from) => x.index_select(0, tensor(rows.Select(p => p - from).ToArray(), device: x.device));
                Compare(
                    Rows(all, window), Rows(hidden, at), [.. rows.Select(p => (long)Target(ids, p)!.Value)],
                    (i, some) => reading.Add(Place(rows[i]), some));
            }
            progress(at);
        }
    }

    private void Compare(Tensor all, Tensor some, long[] targets, Action<int, PredictionFidelity> add)
    {
        var pick = tensor(targets, device: all.device).unsqueeze(1);                        // [n, 1]
        var (p, q) = (LogProbabilities(all), LogProbabilities(some));                       // [n, V]
        Tensor Loss(Tensor x) => x.gather(1, pick).squeeze(1).neg();
        var (wide, other) = (all.to(ScalarType.Float64), some.to(ScalarType.Float64));
        Tensor[] told =
        [
            (p.exp() * (p - q)).sum([-1L]), p.argmax(-1).eq(q.argmax(-1)), Loss(q), Loss(p),
            (other - wide).square().sum([-1L]), wide.square().sum([-1L]),
        ];
        var sums = stack(told.Select(x => x.to(ScalarType.Float64)), 1).cpu().contiguous().data<double>().ToArray();
        for (var i = 0; i < targets.Length; i++)
        {
            var at = sums.AsSpan(i * 6, 6);
            add(i, new PredictionFidelity(1, at[0], (long)at[1], at[2], at[3], at[4], at[5]));
        }
    }

    /// <summary>Of each state, [n, V] in float32 or wider. The model's own tokens are no text's: their share is a number, but none.</summary>
    private Tensor LogProbabilities(Tensor hidden)
    {
        var logits = engine.Decoder.Logits(hidden);
        logits = logits.to(logits.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32);
        foreach (var own in landmark.OwnTokens) logits.select(1, own).fill_(BlockLayout.Masked);
        return logits.log_softmax(-1);
    }

    /// <summary>The regular token that the state at a position predicts; null where it predicts none, or one that is not known.</summary>
    private int? Target(int[] ids, int at)
    {
        int? Token(int i) => i < ids.Length ? ids[i] : null;
        if (!landmark.Predicts(ids[at], Token(at + 1))) return null;
        return Token(at + 1) == landmark.Id ? Token(at + 2) : Token(at + 1);
    }

    /// <summary>The number in the text of a position's regular token, or the one before where it is a landmark; a mark is not counted.</summary>
    private long Place(long position)
    {
        var (block, offset) = Math.DivRem(position, landmark.BlockLength);
        return Math.Max(1, (block * landmark.BlockTokens) + Math.Min(offset, landmark.BlockTokens - 1) - marks);
    }
}
