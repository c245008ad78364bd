using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>A model's logits and greedy tokens against a file of them.</summary>
/// <param name="decoder">The model.</param>
/// <param name="expected">The file.</param>
internal sealed class VerificationModel(Decoder decoder, VerificationCase expected)
{
    private const double LogitTolerance = 2e-4;

    /// <summary>Tokens that a <c>generated</c> of nothing but the continuation continues.</summary>
    private const int UsualPrompt = 50;

    /// <summary>The official code's names of the selection modes.</summary>
    private static readonly (string Name, SelectionMode Mode)[] Modes =
    [
        ("per_token_and_head", SelectionMode.PerTokenAndHead),
        ("max_over_tokens", SelectionMode.PerHead),
        ("max_over_heads", SelectionMode.PerToken),
    ];

    private ModelConfig Config => decoder.Config;

    public IReadOnlyList<VerificationCheck> Checks()
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        List<VerificationCheck> checks = [];
        if (expected.Has("tokens", "logits"))
            checks.Add(Logits("logits", Tokens("tokens"), Plain));
        if (expected.Has("tokens", "generated"))
            checks.Add(Continuation());
        if (Config.Landmark is not { } landmark) return checks;
        // No other program has the token's gate: what is expected of landmarks stays unread, and is told as skipped.
        if (landmark.MissId is not null)
            return checks.Count > 0 ? checks : throw new LandmarkException(
                $"{expected.Path} has nothing that can be compared with a model that has a context-miss token; "
                + "give it tokens with logits or generated, by plain causal attention, or give a model without the token.");

        if (expected.Has("train_input", "train_logits"))
            checks.Add(TrainLogits(landmark));
        foreach (var (name, mode) in Modes)
            checks.AddRange(Retrieved(name, mode, landmark));
        return checks;
    }

    /// <summary>Every position's logits, fed in the memory's chunks, a row at a time.</summary>
    private VerificationCheck Logits(string name, Tensor tokens, Func<ContextMemory> memory)
    {
        expected.RequireShape(name, tokens.shape[0], tokens.shape[1], Config.VocabularySize);
        using var all = expected.Numbers(name, ScalarType.Float32);
        var worst = 0.0;
        for (var row = 0; row < tokens.shape[0]; row++)
        {
            using var held = memory();
            Feed(held, tokens[row], (from, logits) =>
                worst = Math.Max(worst, VerificationCase.MaxError(all[row].narrow(0, from, logits.shape[0]), logits)));
        }
        return new(name, worst, LogitTolerance);
    }

    /// <summary>
    /// Greedy decoding by plain attention: <c>generated</c> begins with the tokens it continues, or
    /// continues the first 50.
    /// </summary>
    private VerificationCheck Continuation()
    {
        var (tokens, generated) = (Tokens("tokens"), Tokens("generated"));
        RequireRows("generated", generated, tokens);
        var wrong = 0;
        for (var row = 0; row < generated.shape[0]; row++)
        {
            long[] text = [.. tokens[row].data<long>()], made = [.. generated[row].data<long>()];
            var (usual, shared) = (Math.Min(UsualPrompt, text.Length), text.Zip(made).TakeWhile(x => x.First == x.Second).Count());
            List<int> misses = [];
            var prompt = shared < made.Length ? shared : usual;
            if (prompt > 0 && prompt < made.Length) misses.Add(Misses(text[..prompt], made[prompt..]));
            // A continuation alone may begin with its text's first tokens by chance: what shares less than the usual prompt is
            // read in both ways, and meant in the one that fits.
            if (shared < usual || misses.Count == 0) misses.Add(Misses(text[..usual], made));
            wrong += misses.Min();
        }
        return new("generated", wrong, 0);

        int Misses(long[] prompt, long[] answer)
        {
            using var memory = Plain();
            return Decode(memory, prompt, answer, landmark: null, null);
        }
    }

    /// <summary>One dense pass over a training window, its landmarks wherever they stand.</summary>
    private VerificationCheck TrainLogits(LandmarkConfig landmark)
    {
        var tokens = Tokens("train_input");
        expected.RequireShape("train_logits", tokens.shape[0], tokens.shape[1], Config.VocabularySize);
        using var all = expected.Numbers("train_logits", ScalarType.Float32);
        var worst = 0.0;
        for (var row = 0; row < tokens.shape[0]; row++)
        {
            using var scope = NewDisposeScope();
            var ids = tokens.narrow(0, row, 1).to(decoder.Device);
            using var layout = BlockLayout.Irregular(ids.eq(landmark.Id), (int)tokens.shape[1]);
            using var attention = new DenseAttention(decoder.Rotary, layout);
            worst = Math.Max(worst, VerificationCase.MaxError(all[row], decoder.Logits(decoder.Forward(ids, attention))[0]));
        }
        return new("train_logits", worst, LogitTolerance);
    }

    /// <summary>Reading in chunks and decoding in one selection mode, as the official code does both.</summary>
    private List<VerificationCheck> Retrieved(string mode, SelectionMode selection, LandmarkConfig landmark)
    {
        var (logits, made, decoded) = ($"{mode}.logits", $"{mode}.generated", $"{mode}.decode_logits");
        List<VerificationCheck> checks = [];
        if ((!expected.Has(logits) && !expected.Has(made)) || !(expected.Has("input") || expected.Has("tokens"))) return checks;

        var input = Input(landmark);
        var options = landmark.Retrieval() with { Selection = selection, WindowIsCall = true };
        ContextMemory Memory() => new BlockMemory(
            Config.Layers, landmark.BlockLength, landmark.WindowPositions, decoder.Rotary, options, decoder.ComputeType, decoder.Device);
        if (expected.Has(logits)) checks.Add(Logits(logits, input, Memory));
        if (!expected.Has(made)) return checks;

        var generated = Tokens(made);
        RequireRows(made, generated, input);
        if (expected.Has(decoded)) expected.RequireShape(decoded, generated.shape[0], generated.shape[1], Config.VocabularySize);
        using var all = expected.Has(decoded) ? expected.Numbers(decoded, ScalarType.Float32) : null;
        var (wrong, worst) = (0, 0.0);
        for (var row = 0; row < generated.shape[0]; row++)
        {
            using var memory = Memory();
            long[] text = [.. input[row].data<long>()], answer = [.. generated[row].data<long>()];
            wrong += Decode(memory, text, answer, landmark, (step, next) =>
            {
                if (all is not null) worst = Math.Max(worst, VerificationCase.MaxError(all[row, step], next));
            });
        }
        checks.Add(new(made, wrong, 0));
        if (all is not null) checks.Add(new(decoded, worst, LogitTolerance));
        return checks;
    }

    /// <summary>
    /// Counts the steps of greedy decoding that choose another token than expected. Each step goes on with the expected one, so
    /// one miss makes no others; no miss means that free decoding gives the same tokens.
    /// </summary>
    /// <param name="memory">An empty one.</param>
    /// <param name="text">What is continued, with landmarks.</param>
    /// <param name="answer">The expected tokens, without.</param>
    /// <param name="landmark">Whose token is fed after each that fills a block, and never chosen; null for plain decoding.</param>
    /// <param name="report">Told each step's logits, [V].</param>
    private int Decode(ContextMemory memory, long[] text, long[] answer, LandmarkConfig? landmark, Action<int, Tensor>? report)
    {
        // The landmark's own prediction is not used: the token before it predicts the one after it.
        var next = Feed(memory, text, text.Length - (text[^1] == landmark?.Id ? 2 : 1));
        var (tokens, wrong) = (text.LongCount(t => t != landmark?.Id), 0);
        for (var step = 0; step < answer.Length; step++)
        {
            report?.Invoke(step, next);
            if (landmark is not null) next[landmark.Id] = float.NegativeInfinity;
            if (next.argmax().item<long>() != answer[step]) wrong++;
            tokens++;
            next.Dispose();
            next = Feed(
                memory, landmark is not null && tokens % landmark.BlockTokens == 0 ? [answer[step], landmark.Id] : [answer[step]], 0);
        }
        next.Dispose();
        return wrong;
    }

    /// <summary>Runs tokens through the model, and gives the logits of one of them, [V] on the CPU.</summary>
    private Tensor Feed(ContextMemory memory, long[] tokens, int wanted)
    {
        using var ids = tensor(tokens);
        Tensor? found = null;
        Feed(memory, ids, (from, logits) =>
        {
            if (wanted >= from && wanted < from + logits.shape[0])
                found = logits[wanted - from].clone().DetachFromDisposeScope();
        });
        return found!;
    }

    /// <summary>Runs tokens through the model, at most as many at once as the memory takes.</summary>
    /// <param name="memory">What holds the tokens before.</param>
    /// <param name="tokens">[T].</param>
    /// <param name="see">Told each chunk's first position, and its logits [T', V] on the CPU.</param>
    private void Feed(ContextMemory memory, Tensor tokens, Action<long, Tensor> see)
    {
        for (long from = 0, count; from < tokens.shape[0]; from += count)
        {
            using var scope = NewDisposeScope();
            count = Math.Min(memory.Room, tokens.shape[0] - from);
            memory.Begin((int)count);
            var hidden = decoder.Forward(tokens.narrow(0, from, count).unsqueeze(0).to(decoder.Device), memory);
            memory.End();
            see(from, decoder.Logits(hidden)[0].cpu());
        }
    }

    private ContextMemory Plain() => Config.Recurrence is { } recurrence
        ? new RecurrentMemory(Config.Layers, decoder.Rotary, recurrence)
        : new PlainMemory(Config.Layers, decoder.Rotary, Config.SlidingWindow);

    private Tensor Tokens(string name) => expected.Tokens(name, Config.VocabularySize);

    private void RequireRows(string name, Tensor continuation, Tensor text)
    {
        if (continuation.shape[0] > text.shape[0])
            throw new LandmarkException(
                $"{expected.Path}: {name} has {continuation.shape[0]} rows and the text {text.shape[0]}; "
                + "each row continues one of the text.");
    }

    /// <summary>The text with its landmarks, given or put in: [B, T].</summary>
    private Tensor Input(LandmarkConfig landmark)
    {
        var plain = expected.Has("tokens") ? Tokens("tokens") : null;
        var made = plain is null ? null : stack([.. Enumerable.Range(0, (int)plain.shape[0]).Select(row => tensor(
            LandmarkStream.Insert([.. plain[row].data<long>().Select(t => (int)t)], landmark.BlockTokens, landmark.Id),
            ScalarType.Int64))]);
        if (!expected.Has("input")) return made!;
        var input = Tokens("input");
        if (made is not null && !(input.shape.SequenceEqual(made.shape) && input.eq(made).all().item<bool>()))
            throw new LandmarkException(
                $"{expected.Path}: input is not tokens with the landmark, token {landmark.Id}, "
                + $"after every {landmark.BlockTokens}, as the configuration has it.");
        var regular = (arange(1, input.shape[1] + 1) % landmark.BlockLength).eq(0);
        if (!input.eq(landmark.Id).eq(regular).all().item<bool>())
            throw new LandmarkException(
                $"{expected.Path}: the landmarks of input, token {landmark.Id}, "
                + $"do not stand after every {landmark.BlockTokens} tokens, as the configuration has it.");
        return input;
    }
}
