using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Generation;

public sealed class SessionTests
{
    private static readonly Gen<LandmarkLoss> Policies = Gen.Enum<LandmarkLoss>();

    [Fact]
    public void AnswersDoNotDependOnHowTheTextWasCut() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 90], Policies, Gen.Int[1, 30].Array[1, 5]).Sample(
            (block, length, policy, cuts) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block, loss: policy));
                var tokens = TinyModel.Tokens(length);
                using var whole = engine.NewSession();
                whole.Append(tokens);
                using var pieces = engine.NewSession();
                for (int at = 0, i = 0; at < length; i++)
                {
                    var end = Math.Min(length, at + cuts[i % cuts.Length]);
                    pieces.Append(tokens.AsSpan(at..end));
                    at = end;
                }
                Assert.Equal(Ids(whole, 12), Ids(pieces, 12));
            },
            iter: 40, threads: 1);

    [Fact]
    public void ATextThatDoesNotFitInMemoryIsRefusedBeforeItIsRead()
    {
        // Heads so wide that a token takes 3 MB: a few million are more than any machine has.
        using var engine = TinyEngine.Create(TinyModel.Config(blockTokens: 4) with { HeadDim = 80_000 });
        Assert.Equal(2 * 2 * 80_000 * 4 * 9 / 4, engine.BytesPerToken);
        engine.RequireRoom(1);
        using var session = engine.NewSession();
        var error = Assert.Throws<LandmarkException>(() => session.Append(new int[5_000_000]));
        Assert.Contains(
            "of about 5,000,000 tokens takes 14,400.0 GB of memory (2,880,000 bytes each)", error.Message, StringComparison.Ordinal);
        Assert.Empty(session.Tokens);
    }

    [Fact]
    public void ReadingAnAnswerEqualsHavingGeneratedIt() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 50], Gen.Int[1, 20], Policies).Sample(
            (block, length, answer, policy) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block, loss: policy));
                var (tokens, question) = (TinyModel.Tokens(length), TinyModel.Tokens(5, seed: 9));
                using var talked = engine.NewSession();
                talked.Append(tokens);
                var said = Ids(talked, answer);
                talked.Append(question);
                using var read = engine.NewSession();
                read.Append([.. tokens, .. said, .. question]);
                Assert.Equal(Ids(read, 10), Ids(talked, 10));
                Assert.Equal(read.Tokens, talked.Tokens);
            },
            iter: 40, threads: 1);

    [Fact]
    public void ScoresAreThoseOfADensePassWhenAllBlocksAreRead() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[2, 60], Gen.Int[0, 20], Policies).Sample(
            (block, length, before, policy) =>
            {
                var config = TinyModel.Config(block, loss: policy);
                using var engine = TinyEngine.Create(config, new RetrievalOptions { TopK = 100, WindowBlocks = 2 });
                var tokens = TinyModel.Tokens(length + before);
                using var session = engine.NewSession();
                session.Append(tokens.AsSpan(0, before));
                if (before > 0) Assert.Single(session.Generate(new GenerationOptions { MaxTokens = 1, StopAtEndOfText = false }));
                tokens = [.. session.Tokens, .. tokens[before..]];
                var start = session.Tokens.Count;
                var told = new Dictionary<long, float>();
                session.Score(tokens.AsSpan(start), (first, scores) =>
                {
                    for (var i = 0; i < scores.Length; i++) told.Add(first + i, scores[i]);
                });
                Assert.Equal(
                    Enumerable.Range(Math.Max(1, start), tokens.Length - Math.Max(1, start)).Select(i => (long)i), told.Keys.Order());

                var input = TinyModel.WithLandmarks(config, tokens);
                var logits = TinyModel.Dense(engine.Decoder, input);
                var regular = Enumerable.Range(0, input.Length).Where(i => input[i] != config.Landmark!.Id).ToArray();
                foreach (var (number, score) in told)
                {
                    var place = regular[number] - 1;
                    if (input[place] == config.Landmark!.Id && policy == LandmarkLoss.Ignored) place--;
                    var row = Enumerable.Range(0, TinyModel.Vocabulary - 1).Select(j => (double)logits[place, j]).ToArray();
                    var expected = logits[place, tokens[number]] - Math.Log(row.Sum(x => Math.Exp(x - row.Max()))) - row.Max();
                    Assert.Equal(expected, score, 2e-3);
                }
            },
            iter: 40, threads: 1);

    [Fact]
    public void TheTraceAccountsForAllAttention()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4), new RetrievalOptions { TopK = 2, WindowBlocks = 1 });
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(70));
        Ids(session, 6);
        var trace = session.Trace;
        Assert.NotEmpty(trace.Blocks);
        Assert.Equal(1, trace.WindowMass + trace.Blocks.Sum(b => b.Mass), 1e-5);
        Assert.True(trace.Blocks.Zip(trace.Blocks.Skip(1)).All(p => p.First.Mass >= p.Second.Mass));
        Assert.All(trace.Blocks, b => Assert.Equal((b.Block * 4, 4), (b.FirstToken, b.TokenCount)));
        Assert.All(trace.Blocks, b => Assert.InRange(b.Block, 0, trace.BlockCount - 1));
    }

    [Fact]
    public void TextsAreReadAndStopStringsEndAnswers()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(5));
        using var free = engine.NewSession();
        free.Append("the lighthouse keeper");
        var answer = string.Concat(free.Generate(new GenerationOptions { MaxTokens = 30 }).Select(t => t.Text));
        Assert.Equal(30, answer.Length);

        using var stopped = engine.NewSession();
        stopped.Append(new StringReader("the lighthouse keeper"));
        var stop = answer[10..13];
        var steps = stopped.Generate(new GenerationOptions { MaxTokens = 30, Stop = [stop, "never this"] }).ToArray();
        Assert.Equal(FinishReason.Stop, steps[^1].Finish);
        Assert.Equal(answer[..answer.IndexOf(stop, StringComparison.Ordinal)], string.Concat(steps.Select(s => s.Text)));
    }

    [Fact]
    public void AModelWithoutLandmarksIsReadInFull()
    {
        using var engine = TinyEngine.Create(TinyModel.Plain());
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(1200));
        Assert.Equal(5, Ids(session, 5).Length);
        Assert.Empty(session.Trace.Blocks);
    }

    [Fact]
    public void SamplingRepeatsWithItsSeedAndNeverGivesALandmark()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(2));
        int[] Draw(int seed)
        {
            using var session = engine.NewSession();
            session.Append(TinyModel.Tokens(9));
            return [.. session.Generate(new GenerationOptions { MaxTokens = 200, Temperature = 3, Seed = seed }).Select(t => t.Id)];
        }
        Assert.Equal(Draw(5), Draw(5));
        Assert.NotEqual(Draw(5), Draw(6));
        Assert.DoesNotContain(TinyModel.Vocabulary - 1, Draw(7));
    }

    [Fact]
    public void CancellationLosesNothing()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        var tokens = TinyModel.Tokens(5000);
        using var session = engine.NewSession();
        using var cancel = new CancellationTokenSource();
        var progress = new Relay(n => { if (n >= 100) cancel.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => session.Append(tokens, progress, cancel.Token));
        var read = session.Tokens.Count;
        Assert.InRange(read, 100, 4999);
        session.Append(tokens.AsSpan(read));
        using var whole = engine.NewSession();
        whole.Append(tokens);
        Assert.Equal(Ids(whole, 8), Ids(session, 8));
    }

    /// <summary>A damaged model must say so: text sampled from what is no number looks like an answer.</summary>
    [Theory]
    [InlineData("model.embed_tokens.weight", true)]
    [InlineData("model.layers.1.mlp.down_proj.weight", true)]
    [InlineData("model.layers.0.self_attn.k_proj.weight", true)]
    [InlineData("model.layers.0.self_attn.q_proj.weight", false)]
    [InlineData("lm_head.weight", true)]
    [InlineData("lm_head.weight", false)]
    public void NumbersThatAreNotFiniteAreRefused(string name, bool landmarks)
    {
        using var engine = TinyEngine.Create(landmarks ? TinyModel.Config(3) : TinyModel.Plain());
        using (TorchSharp.torch.no_grad())
            engine.Decoder.Parameters[name].fill_(name == "lm_head.weight" ? float.PositiveInfinity : float.NaN);
        void Fails(Action<Session> action)
        {
            using var session = engine.NewSession();
            Assert.Contains("computes no numbers", Assert.Throws<LandmarkException>(
                () => action(session)).Message, StringComparison.Ordinal);
        }
        Fails(s =>
        {
            s.Append(TinyModel.Tokens(5));
            Ids(s, 1);
        });
        Fails(s => s.Score(TinyModel.Tokens(5), (_, _) => { }));
        if (name != "lm_head.weight") Fails(s => s.Append(TinyModel.Tokens(2000)));
    }

    [Fact]
    public void AReportThatThrowsLosesNothing()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        var tokens = TinyModel.Tokens(40);
        using var session = engine.NewSession();
        Assert.Throws<InvalidOperationException>(() => session.Score(tokens, (_, _) => throw new InvalidOperationException()));
        using var whole = engine.NewSession();
        whole.Append(tokens);
        Assert.Equal(whole.Tokens, session.Tokens);
        Assert.Equal(Ids(whole, 8), Ids(session, 8));
    }

    [Fact]
    public void WrongTokensAndEmptySessionsAreRefused()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        using var session = engine.NewSession();
        Assert.Contains("append", Assert.Throws<LandmarkException>(
            () => session.Generate(new GenerationOptions())).Message, StringComparison.Ordinal);
        Assert.Contains("vocabulary", Assert.Throws<LandmarkException>(
            () => session.Append([TinyModel.Vocabulary])).Message, StringComparison.Ordinal);
        Assert.Contains("landmark", Assert.Throws<LandmarkException>(
            () => session.Append([TinyModel.Vocabulary - 1])).Message, StringComparison.Ordinal);
        session.Append([1]);
        Assert.Contains("top-p", Assert.Throws<LandmarkException>(
            () => session.Generate(new GenerationOptions { TopP = 0 })).Message, StringComparison.Ordinal);
    }

    private static int[] Ids(Session session, int count) =>
        [.. session.Generate(new GenerationOptions { MaxTokens = count, StopAtEndOfText = false }).Select(t => t.Id)];

    private sealed class Relay(Action<long> action) : IProgress<long>
    {
        public void Report(long value) => action(value);
    }
}
