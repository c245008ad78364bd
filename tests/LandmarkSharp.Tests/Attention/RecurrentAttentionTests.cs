using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace LandmarkSharp.Tests.Attention;

/// <summary>A segment at once against masks written out, and against windows trained on one after the other, as Transformer-XL is.</summary>
public sealed class RecurrentAttentionTests
{
    private static readonly Gen<(Recurrence Recurrence, int Length)> Shapes = Gen.Select(
        Gen.Int[1, 9], Gen.Int[1, 20], Gen.Int[1, 40],
        (window, cache, length) => (new Recurrence { Window = window, Cache = cache }, length));

    [Fact]
    public void ASegmentIsMaskedAttentionWithoutGradientsThroughTheCache() =>
        Gen.Select(Shapes, Gen.Int[0, 2].Select(i => new[] { (4, 4), (6, 2), (3, 1) }[i]), Gen.Int[0, 1 << 30]).Sample(
            (shape, heads, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var (length, window, cache) = (shape.Length, shape.Recurrence.Window, shape.Recurrence.Cache);
                Tensor Make(int h) => randn([2, h, length, 8], dtype: ScalarType.Float64, generator: random);
                Tensor[] inputs = [Make(heads.Item1).requires_grad_(), Make(heads.Item2).requires_grad_(), Make(heads.Item2).requires_grad_()];
                var weight = Make(heads.Item1);
                var rotary = new RotaryScaling().Create(8);
                using var attention = new RecurrentAttention(rotary, shape.Recurrence);
                var mine = WithGradients(attention.Attend(0, inputs[0], inputs[1], inputs[2]), weight, inputs);
                foreach (var (x, expected) in mine.Zip(WithGradients(Masked(), weight, inputs))) RowByRow.Close(expected, x, 1e-11);

                Tensor Masked()
                {
                    var at = arange(length);
                    var repeat = heads.Item1 / heads.Item2;
                    var (q, k) = (rotary.Rotate(inputs[0], at), rotary.Rotate(inputs[1], at).repeat_interleave(repeat, 1));
                    var v = inputs[2].repeat_interleave(repeat, 1);
                    var (query, key) = (at.unsqueeze(1), at);
                    var start = query.floor_divide(window) * window;
                    var own = key.ge(start);
                    Tensor Scores(Tensor keys) => q.matmul(keys.transpose(2, 3)) / Math.Sqrt(8);
                    var scores = where(own, Scores(k), Scores(k.detach()));
                    var seen = key.le(query).logical_and(key.ge(start - cache));
                    var p = scores.masked_fill(seen.logical_not(), double.NegativeInfinity).softmax(-1);
                    return (p * own).matmul(v) + (p * own.logical_not()).matmul(v.detach());
                }
            },
            iter: 100, threads: 1);

    [Fact]
    public void ASegmentTrainsAsItsWindowsOneAfterTheOther() =>
        Gen.Select(Shapes, Gen.Int[0, 1 << 20]).Sample(
            (shape, seed) =>
            {
                using var scope = NewDisposeScope();
                using var narrow = TinyModel.Create(TinyModel.Plain(), seed);
                using var decoder = new Decoder(
                    narrow.Config, (name, _) => narrow.Parameters[name].to(ScalarType.Float64).requires_grad_(), ScalarType.Float64);
                var tokens = tensor(TinyModel.Tokens((2 * shape.Length) + 2, seed).Select(t => (long)t).ToArray()).view(2, -1);
                Tensor Loss(IAttention attention, int from, int count) => F.cross_entropy(
                    decoder.Logits(decoder.Forward(tokens.narrow(1, from, count), attention)).flatten(0, 1),
                    tokens.narrow(1, from + 1, count).flatten(), reduction: nn.Reduction.Sum);

                using var whole = new RecurrentAttention(decoder.Rotary, shape.Recurrence);
                var loss = Loss(whole, 0, shape.Length);
                loss.backward();
                var gradients = decoder.Parameters.Values.Select(p => p.grad!.clone()).ToArray();

                foreach (var p in decoder.Parameters.Values) p.grad = null;
                using var cached = new CachedWindows(decoder.Rotary, shape.Recurrence.Cache);
                var sum = 0.0;
                for (int from = 0, count; from < shape.Length; from += count)
                {
                    count = Math.Min(shape.Recurrence.Window, shape.Length - from);
                    var part = Loss(cached, from, count);
                    part.backward();
                    sum += part.item<double>();
                    cached.Next(count);
                }
                Assert.Equal(sum, loss.item<double>(), 1e-9 * sum);
                foreach (var (expected, mine) in decoder.Parameters.Values.Zip(gradients)) RowByRow.Close(expected.grad!, mine, 1e-9);
            },
            iter: 30, threads: 1);

    private static Tensor[] WithGradients(Tensor output, Tensor weight, Tensor[] inputs)
    {
        foreach (var x in inputs) x.grad = null;
        (output * weight).sum().backward();
        return [output.detach(), .. inputs.Select(x => x.grad ?? zeros_like(x))];
    }

    /// <summary>The window at hand, after keys and values that earlier windows left, not rotated and out of every graph.</summary>
    private sealed class CachedWindows(Rotary rotary, int cache) : IAttention, IDisposable
    {
        private readonly Dictionary<int, (Tensor K, Tensor V)> before = [], now = [];
        private readonly List<Tensor> kept = [];
        private long start;

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            var (keys, values) = before.TryGetValue(layer, out var left) ? (cat([left.K, k], 2), cat([left.V, v], 2)) : (k, v);
            now[layer] = (Last(keys), Last(values));
            var (count, all) = (k.shape[2], keys.shape[2]);
            var (query, key) = (arange(start, start + count), arange(start + count - all, start + count));
            var repeat = q.shape[1] / k.shape[1];
            var scores = rotary.Rotate(q, query).matmul(rotary.Rotate(keys, key).repeat_interleave(repeat, 1).transpose(2, 3)) / Math.Sqrt(q.shape[3]);
            return scores.masked_fill(key.gt(query.unsqueeze(1)), double.NegativeInfinity).softmax(-1).matmul(values.repeat_interleave(repeat, 1));
        }

        public void Next(int count)
        {
            start += count;
            foreach (var (layer, left) in now) before[layer] = left;
        }

        public void Dispose() => kept.ForEach(x => x.Dispose());

        private Tensor Last(Tensor x)
        {
            var count = Math.Min(cache, x.shape[2]);
            kept.Add(x.narrow(2, x.shape[2] - count, count).detach().DetachFromDisposeScope());
            return kept[^1];
        }
    }
}
