using System.Text.Json;
using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace LandmarkSharp.Tests.Training;

/// <summary>The trainer's losses, norms and parameters against a loop written down plainly in float64.</summary>
public sealed class TrainerReferenceTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly Tokenizer tokenizer;
    private readonly TokenShards shards;

    public TrainerReferenceTests()
    {
        tokenizer = Tokenizer.Load(tiny.Tokenizer);
        shards = TokenShards.Open(tiny.Shards);
    }

    private int LandmarkId => tokenizer.VocabularySize;

    public void Dispose()
    {
        shards.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData(3, 1, 0.0, 1.0)]
    [InlineData(1, 3, 0.0, 1.0)]
    [InlineData(2, 2, 0.5, 1.0)]
    [InlineData(2, 1, 0.0, 0.05)]
    [InlineData(2, 1, 0.0, 1.0, LandmarkLoss.Predicted)]
    [InlineData(2, 1, 0.5, 1.0, LandmarkLoss.Predicted)]
    [InlineData(2, 1, 0.5, 1.0, LandmarkLoss.Predicting)]
    public void ARunIsThePlainLoop(int rows, int accumulate, double tasks, double clip, LandmarkLoss landmarks = LandmarkLoss.Ignored)
    {
        var stage = new TrainingStage { Window = tasks > 0 ? 512 : 96, Rows = rows, Accumulate = accumulate, TaskShare = tasks };
        var recipe = TinyRun.Recipe with
        {
            Steps = 4,
            WarmUp = 2,
            PeakRate = 3e-3,
            Clip = clip,
            WeightDecay = 0.5,
            LandmarkLoss = landmarks,
            Stages = [stage],
        };
        using var start = new Trainer(recipe, tiny.Into("start"));
        using var plain = Wide(start.Decoder);
        using var trainer = new Trainer(recipe, tiny.Into("run"));
        trainer.Run(cancel: TestContext.Current.CancellationToken);
        var told = tiny.Metrics("run").Select(l => JsonDocument.Parse(l).RootElement).Where(l => l.TryGetProperty("loss", out _)).ToArray();

        var maker = Maker(recipe, stage);
        var optimizer = new PlainAdamW(
            recipe, [.. plain.Parameters.Values.Select(Doubles)], [.. plain.Parameters.Values.Select(p => p.dim() >= 2)]);
        var rate = new LearningRate(recipe.PeakRate, recipe.FinalRate, recipe.WarmUp, recipe.Steps);
        for (var step = 0; step < recipe.Steps; step++)
        {
            var batches = Enumerable.Range(step * accumulate, accumulate).Select(i => maker.Make(i)).ToArray();
            var (loss, gradients) = Step(plain, batches);
            Assert.Equal(loss, told[step].GetProperty("loss").GetDouble(), 2e-5 * loss);
            var norm = optimizer.Step(gradients, rate.At(step));
            Assert.Equal(norm, told[step].GetProperty("gradient_norm").GetDouble(), 2e-4 * norm);
            Set(plain, optimizer.Parameters);
        }
        Assert.Equal(landmarks, ConfigFile.Load(Path.Combine(tiny["run"], "model")).Landmark!.Loss);
        // Adam divides by a gradient's own size, so where that is next to nothing rounding counts for much: most must be
        // equal closely, and all must have gone the same way.
        var moved = recipe.PeakRate * recipe.Steps;
        foreach (var ((name, parameter), expected) in trainer.Decoder.Parameters.Zip(optimizer.Parameters))
        {
            var errors = Doubles(parameter).Zip(expected, (a, b) => Math.Abs(a - b)).Order().ToArray();
            Assert.True(errors[errors.Length * 9 / 10] < 2e-3 * moved, $"{name} differs by {errors[errors.Length * 9 / 10]}");
            Assert.True(errors[^1] < 0.5 * moved, $"{name} differs by {errors[^1]}");
        }
    }

    [Theory]
    [InlineData(LandmarkLoss.Ignored)]
    [InlineData(LandmarkLoss.Predicted)]
    [InlineData(LandmarkLoss.Predicting)]
    public void ValidationIsThePlainMean(LandmarkLoss landmarks)
    {
        var recipe = TinyRun.Recipe with
        {
            LandmarkLoss = landmarks,
            Stages = [new TrainingStage { Window = 512, Rows = 2, TaskShare = 0.5 }],
        };
        using var trainer = new Trainer(recipe with { Steps = 6 }, tiny.Into("run"));
        trainer.Run(cancel: TestContext.Current.CancellationToken);
        using var plain = Wide(trainer.Decoder);
        using var held = TokenShards.Open(tiny.Validation);
        var options = Options(recipe, recipe.Stages[0] with { TaskShare = 0 }) with { Seed = 77 };
        var text = new BatchMaker(options, [new WeightedSource(held["validation"], 1)]);
        var tasks = new BatchMaker(options, [], Tasks(TaskSplit.HeldOut));

        var (texts, answers, rights) = (new List<double>(), new List<double>(), new List<bool>());
        foreach (var index in (ReadOnlySpan<int>)[0, 1, 2])
        {
            var batch = text.Make(index);
            texts.AddRange(Cross(plain, batch).Where((c, at) => IsJudged(batch, at, landmarks)).Select(c => c.Loss));
            batch = tasks.Make(index);
            var cross = Cross(plain, batch);
            foreach (var answer in Answers(batch, landmarks))
            {
                answers.AddRange(answer.Select(i => cross[i].Loss));
                rights.Add(answer.All(i => cross[i].Target == cross[i].Likeliest));
            }
        }
        var result = new Validation(text, tasks, 3).Run(trainer.Decoder);
        Assert.Equal(texts.Average(), result.Loss!.Value, 1e-5);
        Assert.Equal(Math.Exp(texts.Average()), result.Perplexity!.Value, 1e-3);
        Assert.Equal(answers.Average(), result.AnswerLoss!.Value, 1e-5);
        Assert.Equal(rights.Count(r => r) / (double)rights.Count, result.AnswersRight!.Value, 1e-12);

        var without = new Validation(text, null, 1).Run(trainer.Decoder);
        Assert.Equal((null, null), (without.AnswerLoss, without.AnswersRight));
        Assert.Null(new Validation(null, tasks, 1).Run(trainer.Decoder).Perplexity);
    }

    [Theory]
    [InlineData(LandmarkLoss.Ignored)]
    [InlineData(LandmarkLoss.Predicted)]
    public void AnAnswerIsRightWhenAllItsTokensAre(LandmarkLoss landmarks)
    {
        // A model that knows by heart what comes after a token: it learns each row's answer, unless that gainsays what it knows.
        var recipe = TinyRun.Recipe with { HiddenSize = 512, LandmarkLoss = landmarks };
        var config = recipe.Model(LandmarkId, 2, "any") with { TiedEmbeddings = false };
        var tasks = new BatchMaker(Options(recipe, recipe.Stages[0]) with { Rows = 16 }, [], Tasks(TaskSplit.Training));
        var batch = tasks.Make(0);
        var answers = Answers(batch, landmarks)
            .Select(answer => answer.Select(i => (Token: batch.Inputs[i], After: batch.Targets[i])).ToArray())
            .ToArray();
        Dictionary<int, int> next = [];
        foreach (var answer in answers.Where(a => a.All(p => next.GetValueOrDefault(p.Token, p.After) == p.After)
            && a.DistinctBy(p => p.Token).Count() == a.Length))
            foreach (var (token, after) in answer) next[token] = after;
        using var decoder = new Decoder(config, (name, shape) =>
        {
            if (shape.Length == 1) return ones(shape);
            var weight = name == "model.embed_tokens.weight" ? eye(shape[0], shape[1]) : zeros(shape);
            foreach (var (token, after) in name == "lm_head.weight" ? next : []) weight[after, token] = 1;
            return weight;
        });
        var right = answers.Count(answer => answer.All(p => next.GetValueOrDefault(p.Token) == p.After));
        Assert.InRange(right, 1, answers.Length - 1);
        Assert.Equal(right / (double)answers.Length, new Validation(null, tasks, 1).Run(decoder).AnswersRight!.Value, 1e-12);
    }

    /// <summary>A token of the text is predicted, and by the landmark if that predicts it too.</summary>
    private bool IsJudged(Batch batch, int at, LandmarkLoss landmarks) =>
        batch.Targets[at] != Batch.Ignored && batch.Targets[at] != LandmarkId
        && (landmarks != LandmarkLoss.Predicting || at % batch.Length == batch.Length - 1 || batch.Inputs[at + 1] != LandmarkId);

    /// <summary>Where the answers of a batch stand: runs of answers' tokens, in which landmarks do not count.</summary>
    private IEnumerable<int[]> Answers(Batch batch, LandmarkLoss landmarks)
    {
        var told = Enumerable.Range(0, batch.Targets.Length).Where(at => IsJudged(batch, at, landmarks)).ToArray();
        for (var at = 0; at < told.Length; at++)
        {
            var start = at;
            while (at < told.Length && batch.Answers[told[at]] && told[at] / batch.Length == told[start] / batch.Length) at++;
            if (at > start) yield return told[start..at];
        }
    }

    private static (double Loss, double[][] Gradients) Step(Decoder plain, Batch[] batches)
    {
        var weight = batches.Sum(b => b.Weights.Sum(w => (double)w));
        var total = 0.0;
        foreach (var parameter in plain.Parameters.Values) parameter.grad?.zero_();
        foreach (var batch in batches)
        {
            using var scope = NewDisposeScope();
            var chosen = LogProbabilities(plain, batch).gather(1, Targets(batch).unsqueeze(1)).squeeze(1);
            var loss = -(chosen * tensor(batch.Weights, ScalarType.Float64)).sum() / weight;
            loss.backward();
            total += loss.ToDouble();
        }
        return (total, [.. plain.Parameters.Values.Select(p => Doubles(p.grad!))]);
    }

    private static (double Loss, int Target, int Likeliest)[] Cross(Decoder plain, Batch batch)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var all = LogProbabilities(plain, batch);
        var (size, values, likeliest) = ((int)all.shape[1], all.data<double>().ToArray(), all.argmax(1).data<long>().ToArray());
        return [.. batch.Targets.Select((t, i) => (t == Batch.Ignored ? 0 : -values[(i * size) + t], t, (int)likeliest[i]))];
    }

    private static Tensor LogProbabilities(Decoder plain, Batch batch)
    {
        using var layout = BlockLayout.Regular(batch.Length, batch.Length, plain.Config.Landmark!.BlockLength, batch.FirstBlockLength);
        using var attention = new DenseAttention(plain.Rotary, layout);
        var ids = tensor(batch.Inputs.Select(t => (long)t).ToArray()).reshape(batch.Rows, batch.Length);
        return F.log_softmax(plain.Logits(plain.Forward(ids, attention)).flatten(0, 1), 1);
    }

    private static Tensor Targets(Batch batch) => tensor(batch.Targets.Select(t => (long)Math.Max(0, t)).ToArray());

    private BatchMaker Maker(TrainingOptions recipe, TrainingStage stage) =>
        new(Options(recipe, stage), [new WeightedSource(shards["train"], 1)], Tasks(TaskSplit.Training));

    private BatchOptions Options(TrainingOptions recipe, TrainingStage stage) => new()
    {
        Rows = stage.Rows,
        Length = stage.Window,
        BlockLength = recipe.BlockTokens,
        LandmarkId = LandmarkId,
        Seed = recipe.Seed,
        TaskShare = stage.TaskShare,
        BeginOfText = tokenizer.BosId,
        LandmarkLoss = recipe.LandmarkLoss,
        AnswerWeight = recipe.AnswerWeight,
        EchoWeight = recipe.EchoWeight,
        TaskTextWeight = recipe.TaskTextWeight,
    };

    private RetrievalTasks Tasks(TaskSplit split) => new(
        new FragmentEncoder(text => tokenizer.Encode(text)), [shards["train"]], new RetrievalTaskOptions
        {
            Split = split,
            Lookalikes = split == TaskSplit.Training ? TinyRun.Recipe.TaskLookalikes : 0,
            Phrases = MadeUpWordings.Phrases(tokenizer, [shards["train"]]),
            BeginOfText = tokenizer.BosId,
            EndOfText = tokenizer.EosId,
        });

    private static Decoder Wide(Decoder decoder) => new(
        decoder.Config, (name, _) => decoder.Parameters[name].detach().to(ScalarType.Float64).clone().requires_grad_(), ScalarType.Float64);

    private static void Set(Decoder decoder, double[][] values)
    {
        using var quiet = no_grad();
        foreach (var (parameter, value) in decoder.Parameters.Values.Zip(values))
        {
            using var made = tensor(value, ScalarType.Float64).reshape(parameter.shape);
            parameter.copy_(made);
        }
    }

    private static double[] Doubles(Tensor tensor) => [.. tensor.detach().to(ScalarType.Float64).contiguous().data<double>()];
}
