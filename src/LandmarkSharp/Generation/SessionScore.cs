using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <content>How likely a text is.</content>
public sealed partial class Session
{
    private const int ScoredAtOnce = 512;       // a vocabulary's logits for each

    /// <summary>
    /// Reads tokens as <see cref="Append(ReadOnlySpan{int}, IProgress{long}?, CancellationToken)"/> does, and tells
    /// how likely each was.
    /// </summary>
    /// <param name="tokens">Regular tokens.</param>
    /// <param name="report">
    /// Told, chunk by chunk, the number in the text of the first token and each one's log-probability given all before it. The
    /// first token of a session has none before it and is not reported. The landmark's own share is not part of the softmax.
    /// </param>
    /// <param name="cancel">Stops between chunks; what was read stays.</param>
    /// <exception cref="LandmarkException">
    /// A token is not the model's, or is the landmark; there is no memory for them; or the model computes no numbers.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Score(ReadOnlySpan<int> tokens, Action<long, float[]> report, CancellationToken cancel = default)
    {
        engine.RequireRegular(tokens);
        Reserve(tokens.Length);
        if (tokens.Length > 0 && waiting.Count == 0 && last is not null)
            report(text.Count, engine.LogProbabilities(last, [tokens[0]]));
        var from = text.Count;    // tokens before this one are not asked for
        for (; tokens.Length > 0; tokens = tokens[Math.Min(Slice, tokens.Length)..])
        {
            Push(tokens[..Math.Min(Slice, tokens.Length)]);
            var more = tokens.Length > Slice;
            while (waiting.Count > (more ? memory.Room : Trailing))
            {
                cancel.ThrowIfCancellationRequested();
                var first = text.Count - Waiting;
                var count = Math.Min(memory.Room, waiting.Count - Trailing);
                Run(count, hidden => Tell(hidden, first, from, report));
            }
        }
    }

    /// <summary>
    /// Tells the log-probabilities of the tokens that the states of a chunk predict, from number
    /// <paramref name="from"/> on.
    /// </summary>
    private void Tell(Tensor hidden, int first, int from, Action<long, float[]> report)
    {
        var count = (int)hidden.shape[0];
        List<long> rows = [];
        var (next, start) = (first, 0);    // the number in the text of the token after position i; of the first one told
        for (var i = 0; i < count; i++)
        {
            if (waiting[i] != landmark?.Id) next++;
            if (!Predicts(i) || next < from) continue;
            if (rows.Count == 0) start = next;
            rows.Add(i);
        }
        if (rows.Count == 0) return;
        foreach (var part in rows.Chunk(ScoredAtOnce))
        {
            using var scope = NewDisposeScope();
            report(start, engine.LogProbabilities(hidden.index_select(0, tensor(part, device: hidden.device)), text.GetRange(start, part.Length)));
            start += part.Length;
        }
    }
}
