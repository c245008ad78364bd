using CsCheck;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Rows whose documents are kept apart, and positions that jump.</summary>
public sealed class DocumentPackingTests
{
    private const int End = 1;
    private const int Landmark = TinyModel.Vocabulary - 1;

    /// <summary>Documents of some lengths, 1 their last token; every other token tells its place in its document.</summary>
    private static WeightedSource Source(IReadOnlyList<int> lengths)
    {
        List<int> tokens = [];
        List<long> starts = [];
        foreach (var length in lengths)
        {
            starts.Add(tokens.Count);
            tokens.AddRange(Enumerable.Range(0, length - 1).Select(i => 2 + (i % 30)));
            tokens.Add(End);
        }
        return new(TokenSource.FromTokens([.. tokens]), 1, starts);
    }

    private static BatchOptions Options(int length, int block) => new()
    {
        Rows = 3,
        Length = length,
        BlockLength = block,
        LandmarkId = Landmark,
        Documents = DocumentPacking.Separate,
    };

    [Fact]
    public void EachDocumentBeginsABlockAndIsOneStretch() =>
        Gen.Select(Gen.Int[1, 30].List[4, 30], Gen.Int[1, 9], Gen.Int[10, 60], Gen.Enum<LandmarkLoss>())
            .Where(x => x.Item1.Sum() > x.Item3)
            .Sample(
                (lengths, block, length, policy) =>
                {
                    var batch = new BatchMaker(Options(length, block) with { LandmarkLoss = policy }, [Source(lengths)]).Make(0);
                    for (var row = 0; row < batch.Rows; row++)
                    {
                        var begins = batch.Documents![row];
                        Assert.All(begins, b => Assert.Equal(0, b % (block + 1)));
                        foreach (var (begin, next) in begins.Zip(begins.Skip(1).Append(length))) Check(begin, next, row);
                    }

                    void Check(int begin, int next, int row)
                    {
                        var at = Enumerable.Range((row * length) + begin, next - begin).ToArray();
                        var regular = at.Where(i => batch.Inputs[i] != Landmark).ToArray();
                        Assert.Equal(at.Where(i => (i - (row * length)) % (block + 1) == block), at.Where(i => batch.Inputs[i] == Landmark));
                        var ended = regular.Select((_, n) => n).Where(n => batch.Inputs[regular[n]] == End).ToArray();
                        var last = ended.Length > 0 ? ended[0] : regular.Length;
                        // One token after the other, then the last again up to the block's end, which teaches nothing.
                        for (var n = 1; n < last; n++)
                            Assert.Equal(2 + ((batch.Inputs[regular[n - 1]] - 2 + 1) % 30), batch.Inputs[regular[n]]);
                        Assert.Equal(Enumerable.Range(last, regular.Length - last), ended);
                        Assert.True(regular.Length - last <= block);
                        if (begin > 0 && last > 0) Assert.Equal(2, batch.Inputs[regular[0]]);
                        foreach (var i in at)
                        {
                            var after = at.Where(j => j > i && batch.Inputs[j] != Landmark).Select(j => batch.Inputs[j]).FirstOrDefault(-1);
                            var (isLandmark, over) = (batch.Inputs[i] == Landmark, ended.Length > 0 && i >= regular[last]);
                            if (over || (isLandmark && policy == LandmarkLoss.Ignored))
                                Assert.Equal((Batch.Ignored, 0f), (batch.Targets[i], batch.Weights[i]));
                            else if (batch.Targets[i] == Landmark)
                                Assert.Equal((LandmarkLoss.Predicted, true), (policy, (i - (row * length)) % (block + 1) == block - 1));
                            else if (after >= 0) Assert.Equal((after, 1f), (batch.Targets[i], batch.Weights[i]));
                        }
                    }
                }, iter: 300, threads: 1);

    [Fact]
    public void APackedDocumentTeachesWhatItWouldAlone() =>
        Gen.Select(Gen.Int[3, 25].List[6, 20], Gen.Int[2, 6], Gen.Int[20, 60]).Where(x => x.Item1.Sum() > x.Item3).Sample(
            (lengths, block, length) =>
            {
                using var decoder = TinyModel.Create(TinyModel.Config(block));
                using var loss = new LanguageModelLoss(decoder);
                var batch = new BatchMaker(Options(length, block), [Source(lengths)]).Make(0);
                var together = Cross(loss, batch);
                for (var row = 0; row < batch.Rows; row++)
                {
                    var begins = batch.Documents![row];
                    foreach (var (begin, next) in begins.Zip(begins.Skip(1).Append(length)))
                    {
                        var alone = new Batch(1, next - begin) { FirstBlockLength = block + 1 };
                        Array.Copy(batch.Inputs, (row * length) + begin, alone.Inputs, 0, alone.Length);
                        Array.Copy(batch.Targets, (row * length) + begin, alone.Targets, 0, alone.Length);
                        var expected = Cross(loss, alone);
                        for (var i = 0; i < alone.Length; i++) Assert.Equal(expected[i], together[(row * length) + begin + i], 2e-4f);
                    }
                }
            }, iter: 15, threads: 1);

    [Fact]
    public void PositionsJumpAfterLandmarksAlone()
    {
        const int block = 4;
        BatchMaker Maker(int jump) => new(Options(50, block) with { Documents = DocumentPacking.Joined, PositionJump = jump }, [Source([400])]);
        var longest = 0L;
        for (var index = 0; index < 20; index++)
        {
            var (batch, plain) = (Maker(7).Make(index), Maker(0).Make(index));
            Assert.Equal(plain.Inputs, batch.Inputs);
            Assert.Null(plain.Positions);
            for (var at = 0; at < batch.Inputs.Length; at++)
            {
                if (at % 50 == 0)
                {
                    Assert.Equal(0, batch.Positions![at]);
                    continue;
                }
                var further = batch.Positions![at] - batch.Positions[at - 1] - 1;
                Assert.InRange(further, 0, batch.Inputs[at - 1] == Landmark ? 6 : 0);
                longest = Math.Max(longest, further);
            }
        }
        Assert.Equal(6, longest);
    }

    [Fact]
    public void JumpsOfNothingChangeNothingAndOthersDo()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(4));
        using var loss = new LanguageModelLoss(decoder);
        float[] With(int jump) => Cross(
            loss, new BatchMaker(Options(50, 4) with { Documents = DocumentPacking.Joined, PositionJump = jump }, [Source([400])]).Make(3));
        var plain = With(0);
        Assert.All(plain.Zip(With(1)), x => Assert.Equal(x.First, x.Second, 1e-4f));
        Assert.True(plain.Zip(With(50)).Max(x => Math.Abs(x.First - x.Second)) > 1e-3);
    }

    [Fact]
    public void DroppedGatesFollowFromTheBatchAndAreNotForJudging()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(4));
        using var dropping = new LanguageModelLoss(decoder, 0.5);
        using var plain = new LanguageModelLoss(decoder);
        var maker = new BatchMaker(Options(50, 4), [Source([30, 60, 200, 200])]);
        var (batch, again) = (maker.Make(0), maker.Make(0));
        float Loss(LanguageModelLoss loss, Batch of)
        {
            using var packed = new PackedBatch(of, pinned: false);
            using var scope = NewDisposeScope();
            return loss.Of(packed, 1).Loss.item<float>();
        }
        Assert.Equal(Loss(dropping, batch), Loss(dropping, again));
        Assert.NotEqual(Loss(plain, batch), Loss(dropping, batch));
        again.Seed++;
        Assert.NotEqual(Loss(dropping, batch), Loss(dropping, again));
        Assert.Equal(Cross(plain, batch), Cross(dropping, batch));
    }

    [Fact]
    public void DocumentsThatNobodyKnowsAreNotKeptApart()
    {
        var maker = new BatchMaker(Options(50, 4), [new(TokenSource.FromTokens([.. Enumerable.Range(0, 30).Concat(Enumerable.Range(0, 30))]), 1)]);
        Assert.Contains("where they start", Assert.Throws<LandmarkException>(() => maker.Make(0)).Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => new BatchMaker(Options(50, 0), [Source([100])]));
    }

    private static float[] Cross(LanguageModelLoss loss, Batch batch)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var packed = new PackedBatch(batch, pinned: false);
        return loss.CrossEntropy(packed, predictions: false).Cross.data<float>().ToArray();
    }
}
