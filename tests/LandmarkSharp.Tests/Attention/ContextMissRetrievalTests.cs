using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Retrieval past a context-miss token, against dense attention with that token and against retrieval without it.</summary>
public sealed class ContextMissRetrievalTests
{
    public ContextMissRetrievalTests() => LibTorch.Load();

    /// <summary>With k ≥ the blocks in memory, it is dense attention whose past blocks are controlled, whatever the cut-off.</summary>
    [Fact]
    public void EverythingRetrievedIsDenseWithPastBlocksControlled() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 6], Gen.Double[0, 1], Gen.Int[0, 1 << 30]).Sample(
            (inMemory, groups, repeat, l, cutoff, seed) =>
            {
                using var scope = NewDisposeScope();
                var random = new Random(seed);
                var text = new Text(seed, groups * repeat, groups, 4, l, (inMemory * (l + 1)) + random.Next(1, (3 * l) + 4));
                var queries = random.Next(1, text.Tokens - (inMemory * text.Length) + 1);
                var options = new RetrievalOptions
                {
                    TopK = Math.Max(1, inMemory + random.Next(3)),
                    Selection = (SelectionMode)random.Next(4),
                    Positions = (PositionMode)random.Next(2),
                    Reference = random.Next(2) == 0,
                    MissCutoff = random.Next(4) == 0 ? 0 : cutoff,
                };
                var got = text.Retrieve(inMemory, queries, options);
                var (output, mass) = text.Dense(inMemory, options.MissCutoff!.Value);
                RowByRow.Close(output.narrow(1, text.Tokens - queries, queries), got.Output, 1e-10);
                var last = mass.narrow(1, text.Tokens - queries, queries);
                if (inMemory == 0) Assert.Null(got.Chosen);
                else RowByRow.Close(last.masked_fill(last.lt(options.MissCutoff!.Value), 0), got.Gates!.sum(-1), 1e-10);
                Assert.Equal(inMemory == 0 ? 0 : last.lt(options.MissCutoff!.Value).sum().item<long>(), got.Dropped);
            }, iter: 200, threads: 1);

    /// <summary>
    /// Of many blocks: what is retrieved is what would be without the token, and shares its mass, which stands where no block does:
    /// one position before the first slot.
    /// </summary>
    [Fact]
    public void RetrievedBlocksShareTheTokensMass() =>
        Gen.Select(Gen.Int[3, 8], Gen.Int[1, 2], Gen.Int[1, 5], Gen.Double[0, 1], Gen.Bool, Gen.Int[0, 1 << 30]).Sample(
            (inMemory, groups, l, cutoff, single, seed) =>
            {
                using var scope = NewDisposeScope();
                var random = new Random(seed);
                var text = new Text(seed, groups * 2, groups, 4, l, (inMemory * (l + 1)) + random.Next(1, (2 * l) + 3));
                var queries = single ? 1 : random.Next(1, text.Tokens - (inMemory * text.Length) + 1);
                var options = new RetrievalOptions { TopK = random.Next(1, inMemory), Selection = SelectionMode.PerTokenAndHead };
                var plain = text.Retrieve(inMemory, queries, options);
                var none = text.Retrieve(inMemory, queries, options with { MissCutoff = 1 });
                var all = text.Retrieve(inMemory, queries, options with { MissCutoff = 0 });
                var some = text.Retrieve(inMemory, queries, options with { MissCutoff = cutoff });

                var mass = text.WindowMass(inMemory, queries, (options.TopK + 1) * text.Length);                // [H, T]
                var remembered = plain.Gates!.sum(-1);
                RowByRow.Close(mass, all.Gates!.sum(-1), 1e-10);
                var (g, p) = (remembered.unsqueeze(-1), mass.unsqueeze(-1));
                RowByRow.Close(plain.Gates * p, all.Gates! * g, 1e-10);
                // Without the token the window has 1 − g of the attention, with it 1 − P_miss; no division, for either may be tiny.
                RowByRow.Close(((plain.Output * (1 - p)) - (none.Output * (1 - g))) * p, (all.Output - none.Output) * g * (1 - p), 1e-9);
                RowByRow.Close(plain.Chosen!, all.Chosen!, 0);
                Assert.Equal((0, mass.numel()), (all.Dropped, none.Dropped));
                Assert.True(none.Chosen!.eq(-1).all().item<bool>() && none.Gates!.eq(0).all().item<bool>());

                var drops = mass.lt(cutoff).unsqueeze(-1);
                RowByRow.Close(where(drops, none.Output, all.Output), some.Output, 1e-10);
                RowByRow.Close(where(drops, -ones_like(all.Chosen!), all.Chosen!), some.Chosen!, 0);
                Assert.Equal(drops.sum().item<long>(), some.Dropped);
            }, iter: 100, threads: 1);

    /// <summary>Queries and heads below the cut-off have no say in a choice that others share.</summary>
    [Fact]
    public void SharedChoicesAreThoseOfWhoRetrieves()
    {
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            using var scope = NewDisposeScope();
            var text = new Text(11, 4, 2, 4, 3, (9 * 4) + 8);
            var options = new RetrievalOptions { TopK = 2, Selection = mode, MissCutoff = 0.1 };
            var got = text.Retrieve(9, 8, options);
            var alone = text.Retrieve(9, 8, options with { Selection = SelectionMode.PerTokenAndHead });
            Assert.InRange(got.Dropped!.Value, 4, 28);
            Assert.Equal(alone.Dropped, got.Dropped);
            Tensor Of(Retrieved x, long h, long t) => x.Chosen![h, t];
            for (var h = 0; h < 4; h++)
                for (var t = 0; t < 8; t++)
                {
                    var others = (from x in Enumerable.Range(0, 4)
                                  from y in Enumerable.Range(0, 8)
                                  where Of(alone, x, y)[0].item<long>() >= 0 && mode switch
                                  {
                                      SelectionMode.PerTokenAndHead => (x, y) == (h, t),
                                      SelectionMode.PerTokenAndGroup => (x / 2, y) == (h / 2, t),
                                      SelectionMode.PerToken => y == t,
                                      _ => x == h,
                                  }
                                  select (x, y)).ToArray();
                    if (Of(alone, h, t)[0].item<long>() < 0) Assert.Equal(-1, Of(got, h, t)[0].item<long>());
                    else
                    {
                        // The best of one of them is among what all read; who is left out would have read others.
                        var best = others.SelectMany(o => Of(alone, o.x, o.y).data<long>().ToArray()).ToHashSet();
                        Assert.Contains(Of(got, h, t).data<long>().ToArray(), best.Contains);
                        if (others.Length == 1) RowByRow.Close(Of(alone, h, t), Of(got, h, t), 0);
                    }
                }
        }
    }

    /// <summary>By operators, in 16 bits: as where there is no kernel.</summary>
    [Fact]
    public void SixteenBitsGiveTheSameToTheirPrecision()
    {
        using var scope = NewDisposeScope();
        var text = new Text(3, 4, 2, 4, 3, (5 * 4) + 7);
        var options = new RetrievalOptions { TopK = 5, MissCutoff = 0.1 };
        var (exact, rounded) = (text.Retrieve(5, 7, options), text.Retrieve(5, 7, options, ScalarType.BFloat16));
        Assert.Equal(ScalarType.BFloat16, rounded.Output.dtype);
        Assert.InRange(exact.Dropped!.Value, 4, 24);
        RowByRow.Close(exact.Output, rounded.Output, 0.1);
    }

    [Fact]
    public void KeysAndCutoffComeTogether()
    {
        using var scope = NewDisposeScope();
        var rotary = new RotaryScaling().Create(8);
        Tensor q = zeros(2, 3, 8), blocks = zeros([4, 2, 2, 3, 8]), landmarks = zeros(2, 4, 8), keys = zeros(2, 8);
        void Fails(string words, double? cutoff, Tensor? miss)
        {
            using var attention = new RetrievedAttention(2, 5, 3, 4, rotary, new RetrievalOptions { MissCutoff = cutoff }, ScalarType.Float32);
            Assert.Contains(words, Assert.Throws<LandmarkException>(
                () => attention.Attend(q, blocks, landmarks, tied: false, miss: miss)).Message, StringComparison.Ordinal);
        }
        Fails("with a context-miss cut-off and given no context-miss keys", 0, null);
        Fails("without a context-miss cut-off and given context-miss keys Float32 [2, 8]", null, keys);
        Fails("Float32 [1, 8] on cpu; a cut-off goes with Float32 keys [G, 8]", 0.5, keys[..1]);
        Fails("Float64 [2, 8]", 0.5, keys.@double());
        Assert.Contains("cut-off is 1.5; a mass is from 0 to 1", Assert.Throws<LandmarkException>(
            () => new RetrievalOptions { MissCutoff = 1.5 }.Checked()).Message, StringComparison.Ordinal);
    }

    /// <summary>A random text's queries, keys and values, and a token's keys.</summary>
    private sealed class Text
    {
        private readonly Rotary rotary = new RotaryScaling(Theta: 1000).Create(4);
        private readonly int groups, width, l;
        private readonly Tensor q, k, v, miss;                                              // [H|G, tokens, d] and [G, d], not rotated

        public Text(int seed, int heads, int groups, int width, int l, int tokens)
        {
            (this.groups, this.width, this.l, Tokens) = (groups, width, l, tokens);
            using var random = new Generator((ulong)seed, CPU);
            Tensor Make(int rows) => randn([rows, tokens, width], dtype: ScalarType.Float64, generator: random);
            (q, k, v) = (Make(heads) * 2, Make(groups) * 2, Make(groups));
            miss = randn([groups, width], dtype: ScalarType.Float64, generator: random) * 4;
        }

        public int Tokens { get; }

        public int Length => l + 1;

        /// <summary>The whole text at once, blocks before the window controlled: [H, T, d] and [H, T].</summary>
        public (Tensor Output, Tensor Mass) Dense(int inMemory, double cutoff)
        {
            using var layout = BlockLayout.Regular(Tokens, Tokens, Length, Length);
            var controlled = arange(layout.Blocks).lt(inMemory).unsqueeze(0);
            return Attend(q, k, v, 0, layout, controlled, cutoff);
        }

        /// <summary>The token's mass by the window's queries, if that begins at a position: [H, T].</summary>
        public Tensor WindowMass(int inMemory, int queries, int position)
        {
            var start = inMemory * Length;
            using var layout = BlockLayout.Regular(Tokens - start, Tokens - start, Length, Length);
            Tensor Window(Tensor x) => x.narrow(1, start, Tokens - start);
            var (_, mass) = Attend(
                Window(q), Window(k), Window(v), position, layout, zeros([1, layout.Blocks], ScalarType.Bool), 0);
            return mass.narrow(1, Tokens - start - queries, queries);
        }

        public Retrieved Retrieve(int inMemory, int queries, RetrievalOptions options, ScalarType type = ScalarType.Float64)
        {
            var blocks = (Tokens + Length - 1) / Length;
            Tensor Padded(Tensor x) => cat([x, full([groups, (blocks * Length) - Tokens, width], 3.0, dtype: x.dtype)], 1)
                .view(groups, blocks, Length, width);
            var local = Padded(rotary.Rotate(k, arange(Tokens) % Length));
            var memory = stack([local, Padded(v)], 2).narrow(3, 0, l).transpose(0, 1).contiguous();
            using var attention = new RetrievedAttention(
                inMemory, Tokens - (inMemory * Length), queries, Length, rotary, options, type);
            return attention.Attend(
                q.narrow(1, Tokens - queries, queries).to(type), memory.to(type), local.select(2, l).contiguous().to(type), tied: false,
                miss: options.MissCutoff is null ? null : miss.to(type));
        }

        private (Tensor Output, Tensor Mass) Attend(
            Tensor queries, Tensor keys, Tensor values, int position, BlockLayout layout, Tensor controlled, double cutoff)
        {
            Tensor Turned(Tensor x) => rotary.Rotate(x, arange(x.shape[1]) + position).unsqueeze(0);
            var (output, mass) = ContextMiss.Attend(
                Turned(queries), Turned(keys), values.unsqueeze(0), rotary.Rotate(miss.unsqueeze(1), tensor(-1L)).unsqueeze(0), controlled,
                layout, cutoff: cutoff);
            return (output.squeeze(0), mass.squeeze(0));
        }
    }
}
