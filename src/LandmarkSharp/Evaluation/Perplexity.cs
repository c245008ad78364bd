using System.Numerics;
using LandmarkSharp.Generation;
using LandmarkSharp.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Evaluation;

/// <summary>Loss of the tokens in a range of positions.</summary>
/// <param name="From">First position, in regular tokens from 0.</param>
/// <param name="To">Position after the last.</param>
/// <param name="Tokens">Tokens scored there.</param>
/// <param name="Loss">Their mean cross-entropy, in nats.</param>
public sealed record PerplexityBucket(long From, long To, long Tokens, double Loss)
{
    /// <summary>e to the loss.</summary>
    public double Perplexity => Math.Exp(Loss);
}

/// <summary>
/// Loss per regular token of texts, overall and by position in the context; landmarks do not count
/// (landmark-attention.md 4).
/// </summary>
public sealed class Perplexity
{
    private readonly SortedDictionary<long, (double Sum, long Count)> buckets = [];
    private long retrievals, dropped;

    /// <summary>Of a model with a context-miss token, the share of retrievals that it dropped, over tokens, heads and layers that had any; else null.</summary>
    public double? DroppedShare => retrievals == 0 ? null : dropped / (double)retrievals;

    /// <summary>Tokens scored.</summary>
    public long Tokens => buckets.Values.Sum(b => b.Count);

    /// <summary>Mean cross-entropy of all of them, in nats.</summary>
    public double Loss => buckets.Values.Sum(b => b.Sum) / Tokens;

    /// <summary>e to the loss.</summary>
    public double Value => Math.Exp(Loss);

    /// <summary>By position: every 512 up to 4096, then by doublings.</summary>
    public IReadOnlyList<PerplexityBucket> Buckets =>
        [.. buckets.Select(b => new PerplexityBucket(b.Key, End(b.Key), b.Value.Count, b.Value.Sum / b.Value.Count))];

    /// <summary>Scores contexts, each read by a session of its own, from the second token of each.</summary>
    /// <param name="engine">The model; its <see cref="LandmarkEngine.Plain"/> form scores without retrieval.</param>
    /// <param name="contexts">Regular tokens of each context.</param>
    /// <param name="progress">Told how many tokens have been read in all.</param>
    /// <param name="cancel">Stops between chunks.</param>
    public static Perplexity Score(
        LandmarkEngine engine, IEnumerable<int[]> contexts, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        var result = new Perplexity();
        var (read, marks) = (0L, EvaluationSession.Marks(engine));
        foreach (var context in contexts)
        {
            using var session = EvaluationSession.Begin(engine);
            session.Score(context, (first, scores) =>
            {
                first -= marks;
                // The mark alone tells nothing of a text: a context's first token is not scored.
                for (var i = first == 0 ? 1 : 0; i < scores.Length; i++) result.Add(first + i, -scores[i]);
                progress?.Report(read + first);
            }, cancel);
            read += context.Length;
            result.retrievals += session.Retrievals;
            result.dropped += session.DroppedRetrievals;
        }
        return result;
    }

    /// <summary>Cuts a text into contexts of a length; what is left at its end is a shorter one.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="text">The text, read to its end.</param>
    /// <param name="length">Tokens of a context; null for one context of all.</param>
    public static IEnumerable<int[]> Contexts(Tokenizer tokenizer, TextReader text, int? length)
    {
        List<int> held = [];
        foreach (var piece in tokenizer.EncodePieces(text))
        {
            held.AddRange(piece);
            while (length is { } n && held.Count >= n)
            {
                yield return held.GetRange(0, n).ToArray();
                held.RemoveRange(0, n);
            }
        }
        if (held.Count > 1) yield return [.. held];
    }

    /// <summary>Cuts a stream of tokens into contexts of a length; what is left at its end is a shorter one.</summary>
    /// <param name="tokens">The stream.</param>
    /// <param name="length">Tokens of a context; null for one context of all.</param>
    public static IEnumerable<int[]> Contexts(TokenSource tokens, int? length)
    {
        for (long at = 0, count; at < tokens.Count - 1; at += count)
        {
            count = Math.Min(length ?? tokens.Count, tokens.Count - at);
            var context = new int[count];
            tokens.Window(at, context);
            yield return context;
        }
    }

    private static long End(long from) => from < 4096 ? from + 512 : from * 2;

    private void Add(long position, double loss)
    {
        var from = position < 4096 ? position / 512 * 512 : 1L << BitOperations.Log2((ulong)position);
        var (sum, count) = buckets.GetValueOrDefault(from);
        buckets[from] = (sum + loss, count + 1);
    }
}
