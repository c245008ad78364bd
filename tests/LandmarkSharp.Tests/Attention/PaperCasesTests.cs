using System.Text.Json;
using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The cases of landmark-attention.md section 7, at full precision.</summary>
public sealed class PaperCasesTests : IDisposable
{
    private static readonly bool[] LandmarksOfB = [.. Enumerable.Range(0, 11).Select(j => j is 3 or 7)];
    private readonly JsonDocument cases;
    private readonly DisposeScope scope;

    public PaperCasesTests()
    {
        LibTorch.Load();
        scope = NewDisposeScope();
        cases = JsonDocument.Parse(File.ReadAllText(Golden.Path("paper-cases.json")));
    }

    public void Dispose()
    {
        cases.Dispose();
        scope.Dispose();
    }

    [Fact]
    public void AFigure4()
    {
        var scores = ones(1, 9, dtype: ScalarType.Float64);
        Equal("A_weights", Rows(scores, [.. Enumerable.Range(0, 7).Select(j => j % 3 == 2)]), 1e-15, columns: 7);
    }

    [Fact]
    public void LContextMiss()
    {
        using var layout = BlockLayout.Regular(9, 9, 3, 3);
        var (x, controlled) = (ones([1, 1, 9, 1], ScalarType.Float64), tensor(new[] { true, false, false }).unsqueeze(0));
        Tensor Row(double cutoff) => // of values that are one at one place: the weights
            ContextMiss.Attend(x, x, eye(9, dtype: ScalarType.Float64).view(1, 1, 9, 9), x[.., .., ..1], controlled, layout, 1, cutoff).Output[0, 0, 6];
        Equal("L_cmt", Row(0), 1e-15);
        Equal("L_cmt_cutoff", Row(0.5), 1e-15);
    }

    [Fact]
    public void BAndDCausalMatrixWithItsLandmarkQueries()
    {
        var weights = Rows(ScoresOfB(), LandmarksOfB);
        Equal("B_weights", weights, 1e-12);
        Equal("D_landmark_query", weights[7], 1e-12);
        for (var i = 0; i < 11; i++)
        {
            var row = ScoresOfB()[i].data<double>().ToArray();
            RowByRow.Close(tensor(RowByRow.Weights(row, i, LandmarksOfB)), weights[i], 1e-15);
        }
    }

    [Fact]
    public void CGradientOfARow()
    {
        var scores = ScoresOfB().requires_grad_();
        var loss = (Rows(scores, LandmarksOfB)[9] * arange(1, 12, dtype: ScalarType.Float64).cos()).sum();
        loss.backward();
        Assert.Equal(Number("C_loss"), loss.item<double>(), 1e-12);
        var grad = scores.grad![9];
        Equal("C_grad", grad, 1e-12);
        Assert.Equal(0, grad[..3].sum().item<double>(), 1e-15);                 // a past block's own softmax
        Assert.Equal(0, grad[torch.tensor([3L, 7, 8, 9])].sum().item<double>(), 1e-15); // the gate
        Assert.Equal(0, scores.grad[..9].abs().sum().item<double>());
    }

    [Fact]
    public void FExtremeScoresAndAMaskedBlock()
    {
        var extreme = ScoresOfB();
        extreme[10] = tensor([300.0, -300, 299, 298, -300, 0, 300, 1, 2, 300, 0]);
        var row = Rows(extreme, LandmarksOfB)[10];
        Equal("F_extreme", row, 1e-15);

        bool[] visible = [.. Enumerable.Range(0, 11).Select(j => j > 2)];
        Equal("F_masked_block", Rows(ScoresOfB(), LandmarksOfB, visible)[10], 1e-12);
        visible[3] = false;
        Equal("F_masked_block", Rows(ScoresOfB(), LandmarksOfB, visible)[10], 1e-12);
    }

    [Fact]
    public void GOneOutput()
    {
        var j = arange(0, 11, dtype: ScalarType.Float64);
        var values = stack([j.sin(), j.cos()], -1).view(1, 1, 11, 2);
        using var layout = BlockLayout.Regular(11, 11, 4, 4);
        var output = LandmarkAttention.Attend(ScoresOfB().view(1, 1, 11, 11), Identity(11), values, layout, scale: 1);
        Equal("G_out", output[0, 0, 9], 1e-12);
    }

    [Fact]
    public void IRotary()
    {
        var rotary = new RotaryScaling().Create(4);
        var turned = rotary.Rotate(tensor([1.0, 2, 3, 4]), tensor(3L));
        Equal("I_rope_half", turned, 1e-12);
    }

    [Theory]
    [InlineData(SelectionMode.PerTokenAndHead, "J_per_token_and_head")]
    [InlineData(SelectionMode.PerTokenAndGroup, "J_per_token_and_head")] // every head its own group
    [InlineData(SelectionMode.PerToken, "J_max_over_heads")]
    [InlineData(SelectionMode.PerHead, "J_max_over_tokens")]
    public void JCachedInference(SelectionMode mode, string name)
    {
        var options = new RetrievalOptions { TopK = 2, Selection = mode };
        foreach (var reference in (bool[])[true, false])
        {
            var got = CachedInference(5, options with { Reference = reference }, ScalarType.Float64);
            foreach (var expected in Case(name).EnumerateObject())
            {
                var (h, t) = (expected.Name[1] - '0', expected.Name[3] - '0');
                RowByRow.Close(Doubles(expected.Value.GetProperty("out")), got.Output[h, t], 1e-12);
                var blocks = expected.Value.GetProperty("blocks").EnumerateArray().Select(b => b.GetInt64());
                Assert.Equal(blocks, got.Chosen![h, t].data<long>().ToArray());
            }
        }
    }

    [Fact]
    public void JLandmarkProbabilities()
    {
        var (q, _, landmarks) = Memory(5, ScalarType.Float64);
        var rotary = new RotaryScaling().Create(4);
        using var mapping = BlockPositions.Create(PositionMode.Stingy, 2, 5, 3, arange(2), rotary, ScalarType.Float64);
        var scores = mapping.Scan(mapping.Turn(q / 2), landmarks.narrow(1, 0, 5), tied: false);
        Equal("J_landmark_probs", softmax(scores, -1), 1e-12);
    }

    [Fact]
    public void KEverythingRetrievedIsDense()
    {
        foreach (var positions in Enum.GetValues<PositionMode>())
        {
            var got = CachedInference(3, new RetrievalOptions { TopK = 3, Positions = positions }, ScalarType.Float64);
            foreach (var expected in Case("K_dense_n3").EnumerateObject())
                RowByRow.Close(Doubles(expected.Value), got.Output[expected.Name[1] - '0', expected.Name[3] - '0'], 1e-12);
        }
    }

    [Fact]
    public void MLandmarksAmongTokens()
    {
        var expected = Case("M_seq").EnumerateArray().Select(x => x.GetInt32());
        Assert.Equal(expected, LandmarkStream.Insert([.. Enumerable.Range(10, 8)], 3, 99));
    }

    /// <summary>A token's score comes from the place that was taught it: by the policy of either official code.</summary>
    [Theory]
    [InlineData(LandmarkLoss.Ignored, "M_targets_lm_benchmark")]
    [InlineData(LandmarkLoss.Predicted, "M_targets_llama")]
    public void MTokensAreScoredWhereTheyAreTargets(LandmarkLoss policy, string name)
    {
        var config = TinyModel.Config(3, loss: policy);
        using var engine = TinyEngine.Create(config, new RetrievalOptions { TopK = 8 });
        int[] tokens = [.. Enumerable.Range(10, 8)];
        var targets = Case(name).EnumerateArray().Select(x => x.ValueKind == JsonValueKind.Null ? -1 : x.GetInt32()).ToArray();
        var dense = TinyModel.Dense(engine.Decoder, TinyModel.WithLandmarks(config, tokens));
        using var session = engine.NewSession();
        var told = new List<float>();
        session.Score(tokens, (_, scores) => told.AddRange(scores));
        for (var i = 1; i < tokens.Length; i++)
        {
            var place = Array.IndexOf(targets, tokens[i]);
            var row = Enumerable.Range(0, config.Landmark!.Id)
                .Select(j => Math.Exp(dense[place, j])).ToArray(); // the landmark has no share
            Assert.Equal(Math.Log(row[tokens[i]] / row.Sum()), told[i - 1], 1e-3);
        }
    }

    [Fact]
    public void OPromptIsItsFillerAndTheCharactersAroundIt()
    {
        for (var trial = 0; trial < 20; trial++)
        {
            var prompt = PassKeyPrompt.Create(new WordTokenizer().Encoder, 300, seed: 4, trial);
            var lines = prompt.Text.Split('\n');
            var around = prompt.Text.Length - lines[1].Length - lines[3].Length;
            Assert.Equal(Number("O_passkey_0") - (2 * (5 - $"{prompt.Key}".Length)), around); // counted with a key of five digits
        }
    }

    /// <summary>With a token for each character a prompt has the official length, and so the official amount of filler.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(1000)]
    [InlineData(38000)]
    public void OPromptsAreAsLongAsTheOfficialOnes(int filler)
    {
        var characters = new FragmentEncoder(text => [.. text.Select(c => (int)c)]);
        for (var trial = 0; trial < 5; trial++)
        {
            var digits = $"{PassKeyPrompt.Create(characters, 5000, seed: 4, trial).Key}".Length;
            var length = (int)Number($"O_passkey_{filler}") - (2 * (5 - digits));           // counted with a key of five digits
            var prompt = PassKeyPrompt.Create(characters, length, seed: 4, trial);
            var lines = prompt.Text.Split('\n');
            Assert.Equal(length, prompt.Text.Length);
            Assert.Equal(filler, lines[1].Length + lines[3].Length);
        }
    }

    [Fact]
    public void PWindowThatStartsOnALandmark()
    {
        var scores = ones(5, 5, dtype: ScalarType.Float64);
        bool[] landmark = [true, false, false, true, false];
        Equal("P_excluded", Rows(scores, landmark)[4], 1e-15);
        using var layout = BlockLayout.Regular(5, 5, 3, 1);
        var weights = layout.Restore(LandmarkAttention.Weights(scores.view(1, 1, 5, 5), Identity(5), layout, 1));
        Equal("P_excluded", weights[0, 0, 4], 1e-15);
        Assert.Equal(0, weights[0, 0, 0].abs().sum().item<double>());

        // The official code lets the empty block take its share of the gate, and that share is lost.
        var official = Doubles(Case("P_official"));
        Assert.Equal(2.0 / 3, official.sum().item<double>(), 1e-15);
        RowByRow.Close(official / official.sum(), weights[0, 0, 4], 1e-15);
    }

    /// <summary>Section 7 J: keys, values and queries by formula; the window is two tokens of the block after the memory.</summary>
    private static Retrieved CachedInference(int blocks, RetrievalOptions options, ScalarType type)
    {
        var (q, memory, landmarks) = Memory(blocks, type);
        using var attention = new RetrievedAttention(blocks, 2, 2, 3, new RotaryScaling().Create(4), options, type);
        return attention.Attend(q, memory, landmarks, tied: false);
    }

    private static (Tensor Q, Tensor Blocks, Tensor Landmarks) Memory(int blocks, ScalarType type)
    {
        var rotary = new RotaryScaling().Create(4);
        var t = (3 * blocks) + 3;
        var first = 15 - (3 * blocks);                                                      // the last blocks of five
        var (q, k, v) = (Formula(first, t, 2), Formula(first, t, 0), Formula(first, t, 1)); // [H, t, d]
        var local = rotary.Rotate(k, arange(t) % 3).view(2, blocks + 1, 3, 4);              // keys at block-local phase
        var pairs = stack([local, v.view(2, blocks + 1, 3, 4)], 2);                         // [H, n, 2, L, d]
        return (q.narrow(1, 3 * blocks, 2).to(type),
            pairs.narrow(3, 0, 2).transpose(0, 1).contiguous().to(type), local.select(2, 2).to(type));
    }

    private static Tensor Formula(int first, int tokens, double a)
    {
        var values = new double[2, tokens, 4];
        for (var h = 0; h < 2; h++)
            for (var t = 0; t < tokens; t++)
                for (var c = 0; c < 4; c++)
                    values[h, t, c] = 1.5 * Math.Sin((1.3 * (first + t)) + (0.7 * c) + (2.1 * h) + a);
        return tensor(values);
    }

    /// <summary>Attention weights of given scores: the queries are the scores, the keys the unit vectors.</summary>
    private static Tensor Rows(Tensor scores, bool[] landmark, bool[]? visible = null)
    {
        var (t, s) = (scores.shape[0], landmark.Length);
        using var layout = BlockLayout.Irregular(RowByRow.Bools(landmark), (int)t, visible is null ? null : RowByRow.Bools(visible));
        return layout.Restore(LandmarkAttention.Weights(scores.narrow(1, 0, s).view(1, 1, t, s), Identity(s), layout, scale: 1))[0, 0];
    }

    private static Tensor Identity(int n) => eye(n, dtype: ScalarType.Float64).view(1, 1, n, n);

    private static Tensor ScoresOfB()
    {
        var scores = new double[11, 11];
        for (var i = 0; i < 11; i++)
            for (var j = 0; j < 11; j++)
                scores[i, j] = 2 * Math.Sin((0.9 * i) - (1.7 * j) + 0.3);
        return tensor(scores);
    }

    private JsonElement Case(string name) => cases.RootElement.GetProperty(name);

    private double Number(string name) => Case(name).GetDouble();

    private void Equal(string name, Tensor actual, double tolerance, int? columns = null)
    {
        var expected = Doubles(Case(name));
        if (columns is { } n) (expected, actual) = (expected[..n], actual.flatten()[..n]);
        RowByRow.Close(expected.flatten(), actual.flatten(), tolerance);
    }

    private static Tensor Doubles(JsonElement json)
    {
        IEnumerable<double> Flat(JsonElement e) => e.ValueKind == JsonValueKind.Array
            ? e.EnumerateArray().SelectMany(Flat)
            : [e.GetDouble()];
        return tensor(Flat(json).ToArray());
    }
}
