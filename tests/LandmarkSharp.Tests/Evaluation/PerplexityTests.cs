using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class PerplexityTests
{
    [Fact]
    public void LossIsTheMeanOverTokensWhateverTheirContexts()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        int[][] contexts = [TinyModel.Tokens(50), TinyModel.Tokens(2, seed: 3), TinyModel.Tokens(700, seed: 4)];
        List<(long Position, double Loss)> told = [];
        foreach (var context in contexts)
        {
            using var session = engine.NewSession();
            session.Score(context, (first, scores) => told.AddRange(scores.Select((s, i) => (first + i, -(double)s))));
        }
        var result = Perplexity.Score(engine, contexts);
        Assert.Equal(contexts.Sum(c => c.Length - 1), result.Tokens);
        Assert.Equal(told.Average(t => t.Loss), result.Loss, 1e-9);
        Assert.Equal(Math.Exp(result.Loss), result.Value, 1e-9);
        Assert.Equal([(0, 512), (512, 1024)], result.Buckets.Select(b => (b.From, b.To)));
        Assert.Equal(told.Where(t => t.Position < 512).Average(t => t.Loss), result.Buckets[0].Loss, 1e-9);
        Assert.Equal(told.Count(t => t.Position >= 512), result.Buckets[1].Tokens);
    }

    /// <summary>Long texts go through in slices, which must leave out nothing.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void EveryTokenOfALongTextIsScored(bool plain)
    {
        using var engine = TinyEngine.Create(TinyModel.Config(7));
        using var session = (plain ? engine.Plain() : engine).NewSession();
        var tokens = TinyModel.Tokens(9000);
        List<long> told = [];
        session.Score(tokens, (first, scores) => told.AddRange(scores.Select((_, i) => first + i)));
        Assert.Equal(Enumerable.Range(1, tokens.Length - 1).Select(i => (long)i), told);
    }

    [Fact]
    public void PlainIsOneDenseWindowAndLeavesTheEngineAsItWas()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4, windowBlocks: 1, topK: 1));
        using var all = TinyEngine.Create(TinyModel.Config(4), new RetrievalOptions { TopK = 100 });
        int[][] context = [TinyModel.Tokens(120)];
        var plain = Perplexity.Score(engine.Plain(), context).Loss;
        Assert.Equal(Perplexity.Score(all, context).Loss, plain, 1e-4);
        Assert.NotEqual(plain, Perplexity.Score(engine, context).Loss, 1e-3);
    }

    [Fact]
    public void APlainFormLeavesItsEngineTheWeights()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        int[][] context = [TinyModel.Tokens(50)];
        var before = Perplexity.Score(engine, context).Loss;
        engine.Plain().Dispose();
        Assert.Equal(before, Perplexity.Score(engine, context).Loss);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void AMarkIsReadFirstAndNotCounted(int blockTokens)
    {
        using var engine = TinyEngine.Create(TinyModel.Config(blockTokens), marks: true);
        int[] context = [.. TinyModel.Tokens(513).Select(t => t % TinyEngine.Mark)];
        var result = Perplexity.Score(engine, [context, context[..3]]);
        Assert.Equal([(0, 511 + 2), (512, 1)], result.Buckets.Select(b => (b.From, b.Tokens)));

        List<double> told = [];
        foreach (var text in (int[][])[context, context[..3]])
        {
            using var session = engine.NewSession();
            session.Append([TinyEngine.Mark]);
            session.Score(text, (first, scores) => told.AddRange(scores.Skip(first == 1 ? 1 : 0).Select(s => -(double)s)));
        }
        Assert.Equal(told.Average(), result.Loss, 1e-9);
    }

    [Fact]
    public void ContextsAreTheTextInOrder()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        var text = string.Concat(Enumerable.Repeat("a red fox. ", 40));
        var tokens = engine.Tokenizer.Encode(text);
        var cut = Perplexity.Contexts(engine.Tokenizer, new StringReader(text), 100).ToArray();
        Assert.Equal(tokens, cut.SelectMany(c => c));
        Assert.All(cut[..^1], c => Assert.Equal(100, c.Length));
        Assert.Equal(tokens, Assert.Single(Perplexity.Contexts(engine.Tokenizer, new StringReader(text), null)));
    }
}
