using System.Text.Json;
using LandmarkSharp.Models;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training;

public class BatchMakerTests
{
    private const int Landmark = 9999;

    private static readonly TokenSource Numbers = TokenSource.FromTokens([.. Enumerable.Range(0, 5000)]);

    private static BatchOptions Options(int length, int block) => new()
    {
        Rows = 4,
        Length = length,
        BlockLength = block,
        LandmarkId = Landmark,
        Seed = 3,
    };

    [Fact]
    public void LandmarksAndTargetsAreThoseOfTheGoldenCase()
    {
        // Golden case M: 10 11 12 L 13 14 15 L 16 17 -> 11 12 13 x 14 15 16 x 17 (18).
        var maker = new BatchMaker(Options(10, 3), [new(Numbers, 1)]);
        var index = Enumerable.Range(0, 1000).First(i => maker.Make(i).FirstBlockLength == 4);
        var batch = maker.Make(index);
        var first = batch.Inputs[0];
        const int x = Batch.Ignored;
        Assert.Equal(
            [0, 1, 2, Landmark - first, 3, 4, 5, Landmark - first, 6, 7], batch.Inputs[..10].Select(t => t - first));
        Assert.Equal(
            [1, 2, 3, x, 4, 5, 6, x, 7, 8], batch.Targets[..10].Select(t => t == x ? x : t - first));
        Assert.Equal([1, 1, 1, 0, 1, 1, 1, 0, 1, 1], batch.Weights[..10]);
        Assert.DoesNotContain(true, batch.Answers);
    }

    [Fact]
    public void ATenthOfTheWindowsBeginWithTheMark()
    {
        const int mark = 7777;
        var (plain, marked) = (
            new BatchMaker(Options(20, 3), [new(Numbers, 1)]),
            new BatchMaker(Options(20, 3) with { BeginOfText = mark }, [new(Numbers, 1)]));
        var rows = 0;
        for (var index = 0; index < 250; index++)
        {
            Assert.DoesNotContain(mark, plain.Make(index).Inputs);
            var batch = marked.Make(index);
            foreach (var row in batch.Inputs.Chunk(20))
            {
                var regular = row.Where(t => t != Landmark).ToArray();
                Assert.DoesNotContain(mark, regular[1..]);
                if (regular[0] == mark) rows++;
            }
        }
        Assert.InRange(rows, 60, 140);
    }

    [Fact]
    public void PredictedLandmarksAreTargetsAsInTheGoldenCase()
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Golden.Path("paper-cases.json")));
        int[] Case(string name) => [.. file.RootElement.GetProperty(name).EnumerateArray().Select(t => t.GetInt32())];
        var (inputs, targets) = (Case("M_seq"), Case("M_targets_llama"));
        var tokens = TokenSource.FromTokens([.. Enumerable.Range(10, 11)]);    // one window of 8 regular tokens starts at 10
        var maker = new BatchMaker(Options(10, 3) with { LandmarkId = 99, LandmarkLoss = LandmarkLoss.Predicted }, [new(tokens, 1)]);
        var batch = Enumerable.Range(0, 1000).Select(i => maker.Make(i)).First(b => b.Inputs.AsSpan(0, 10).SequenceEqual(inputs));
        Assert.Equal([.. targets, 18], batch.Targets[..10]);
        Assert.All(batch.Weights, w => Assert.Equal(1, w));
    }

    [Fact]
    public void PredictedLandmarksMakeTargetsTheInputsOneFurther()
    {
        var tasks = new RetrievalTasks(new WordTokenizer().Encoder, []);
        BatchMaker Maker(LandmarkLoss loss) => new(
            Options(512, 7) with
            {
                TaskShare = 0.5,
                LandmarkLoss = loss,
                AnswerWeight = 5,
                EchoWeight = 2,
                TaskTextWeight = 0.25f,
            },
            [new(Numbers, 1)],
            tasks);
        var (predicted, ignored) = (Maker(LandmarkLoss.Predicted), Maker(LandmarkLoss.Ignored));
        var inside = 0;
        for (var index = 0; index < 20; index++)
        {
            var (batch, other) = (predicted.Make(index), ignored.Make(index));
            Assert.Equal(other.Inputs, batch.Inputs);
            for (var at = 0; at < batch.Inputs.Length; at++)
            {
                var (last, isLandmark) = (at % 512 == 511, batch.Inputs[at] == Landmark);
                if (!last) Assert.Equal(batch.Inputs[at + 1], batch.Targets[at]);
                // What was told of the token before a landmark is told of the landmark; of a landmark nothing is.
                var toLandmark = batch.Targets[at] == Landmark;
                var (was, isText) = (other.Weights[isLandmark && at % 512 > 0 ? at - 1 : at], batch.Families[at / 512] is null);
                if (toLandmark) Assert.Equal((isText ? 1 : 0.25f, false), (batch.Weights[at], batch.Answers[at]));
                else if (!isLandmark || at % 512 > 0) Assert.Equal(was, batch.Weights[at]);
                if (!toLandmark) Assert.Equal(batch.Weights[at] == 5, batch.Answers[at]);
                if (isLandmark && batch.Answers[at] && at % 512 > 1 && batch.Answers[at - 2]) inside++;
            }
        }
        Assert.True(inside > 0);
    }

    [Fact]
    public void EveryPhaseOccursAndEveryWindowIsAStretchOfTheStream()
    {
        const int length = 37;
        const int block = 7;
        var maker = new BatchMaker(Options(length, block), [new(Numbers, 1)]);
        var phases = new int[block + 2];
        for (var index = 0; index < 400; index++)
        {
            var batch = maker.Make(index);
            phases[batch.FirstBlockLength]++;
            for (var row = 0; row < batch.Rows; row++)
            {
                var inputs = batch.Inputs[(row * length)..((row + 1) * length)];
                var targets = batch.Targets[(row * length)..((row + 1) * length)];
                for (var i = 0; i < length; i++)
                {
                    Assert.Equal(i % (block + 1) == (batch.FirstBlockLength - 1) % (block + 1), inputs[i] == Landmark);
                    Assert.Equal(inputs[i] == Landmark ? Batch.Ignored : inputs[i] + 1, targets[i]);
                }
                var regular = inputs.Where(t => t != Landmark).ToArray();
                Assert.Equal(Enumerable.Range(regular[0], regular.Length), regular);
            }
        }
        Assert.Equal(0, phases[0]);
        Assert.All(phases[1..], count => Assert.InRange(count, 25, 80));
    }

    [Fact]
    public void WithoutLandmarksWindowsArePlain()
    {
        var batch = new BatchMaker(Options(16, 0), [new(Numbers, 1)]).Make(0);
        Assert.DoesNotContain(Landmark, batch.Inputs);
        Assert.Equal(batch.Inputs.Select(t => t + 1), batch.Targets);
    }

    [Fact]
    public void TaskRowsKeepTheirLengthAndWeights()
    {
        var tokenizer = new WordTokenizer();
        var tasks = new RetrievalTasks(tokenizer.Encoder, []);
        var options = Options(512, 63) with
        {
            TaskShare = 0.5,
            AnswerWeight = 5,
            EchoWeight = 2,
            TaskTextWeight = 0.25f,
        };
        var maker = new BatchMaker(options, [new(Numbers, 1)], tasks);
        for (var index = 0; index < 50; index++)
        {
            var batch = maker.Make(index);
            Assert.Equal(2, batch.TaskRows);
            for (var row = 0; row < batch.Rows; row++)
            {
                var range = (row * 512)..((row + 1) * 512);
                var (inputs, weights, answers) = (batch.Inputs[range], batch.Weights[range], batch.Answers[range]);
                Assert.Equal(8, inputs.Count(t => t == Landmark));
                Assert.Equal(row < batch.TaskRows, answers.Contains(true));
                for (var i = 0; i < 512; i++)
                {
                    if (inputs[i] == Landmark) Assert.Equal((0, false), (weights[i], answers[i]));
                    else if (row >= 2) Assert.Equal(1, weights[i]);
                    else if (answers[i]) Assert.Equal(5, weights[i]);
                    else Assert.Contains(weights[i], new[] { 2, 0.25f });
                }
            }
        }
    }

    [Fact]
    public void ShareOfTasksIsKeptOnAverage()
    {
        var tasks = new RetrievalTasks(new WordTokenizer().Encoder, []);
        BatchMaker Maker(double share) => new(Options(256, 63) with { TaskShare = share }, [new(Numbers, 1)], tasks);
        Assert.InRange(Enumerable.Range(0, 40).Sum(i => Maker(0.3).Make(i).TaskRows), 36, 60);
        Assert.Equal(4, Maker(1).Make(40).TaskRows);
        Assert.Equal(0, Maker(0).Make(40).TaskRows);
    }

    [Fact]
    public void SourcesAreDrawnByTheirWeights()
    {
        var others = TokenSource.FromTokens([.. Enumerable.Range(20_000, 3000)]);
        var maker = new BatchMaker(Options(20, 63), [new(Numbers, 3), new(others, 1)]);
        var count = Enumerable.Range(0, 500)
            .Sum(i => maker.Make(i).Inputs.Chunk(20).Count(row => row.Any(t => t >= 20_000)));
        Assert.InRange(count, 430, 570);
    }

    [Fact]
    public void PrefetchedBatchesAreThoseOfTheirIndexes()
    {
        var tasks = new RetrievalTasks(new WordTokenizer().Encoder, [Numbers]);
        var maker = new BatchMaker(Options(256, 63) with { TaskShare = 0.5 }, [new(Numbers, 1)], tasks);
        foreach (var ahead in (ReadOnlySpan<int>)[1, 3, 8])
        {
            using var prefetcher = new BatchPrefetcher(maker, first: 17, ahead);
            for (var index = 17; index < 40; index++)
            {
                var (packed, expected) = (prefetcher.Next()[0], maker.Make(index));
                var got = packed.Batch;
                Assert.Equal(expected.Inputs, got.Inputs);
                Assert.Equal(expected.Targets, got.Targets);
                Assert.Equal(expected.Weights, got.Weights);
                Assert.Equal(expected.Answers, got.Answers);
                Assert.Equal(expected.Families, got.Families);
                Assert.Equal(expected.FirstBlockLength, got.FirstBlockLength);
                Assert.Equal([.. expected.Inputs, .. expected.Targets], packed.Ids.data<int>().ToArray());
                Assert.Equal(expected.Weights, packed.Parts[0].data<float>().ToArray());
                Assert.Equal(expected.Weights.Sum(w => (double)w), packed.Weight);
                bool IsText(int at) => expected.Targets[at] != Batch.Ignored && expected.Families[at / expected.Length] is null;
                var text = Enumerable.Range(0, expected.Targets.Length).Select(at => IsText(at) ? 1f : 0f).ToArray();
                Assert.Equal(text, packed.Parts[1].data<float>().ToArray());
                Assert.Equal(text.Sum(), packed.TextTokens);
                Assert.Equal(expected.Answers.Select(a => a ? 1f : 0f), packed.Parts[2].data<float>().ToArray());
                Assert.Equal(expected.Answers.Count(a => a), packed.AnswerTokens);
            }
        }
    }

    [Fact]
    public void SourceShorterThanAWindowIsRefused()
    {
        var error = Assert.Throws<LandmarkException>(
            () => new BatchMaker(Options(64, 63), [new(TokenSource.FromTokens(new int[64]), 1)]));
        Assert.Contains("64 tokens", error.Message);
        Assert.Throws<LandmarkException>(() => new BatchMaker(Options(64, 63), []));
        Assert.Throws<LandmarkException>(() => new BatchMaker(Options(0, 63), [new(Numbers, 1)]));
    }
}
