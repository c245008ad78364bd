using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Small random decoders with weights large enough that attention is sharp.</summary>
internal static class TinyModel
{
    public const int Vocabulary = 40;

    public static ModelConfig Config(
        int blockTokens, int heads = 4, int groups = 2, LandmarkLoss loss = LandmarkLoss.Ignored,
        int windowBlocks = 2, int topK = 2) => new()
        {
            VocabularySize = Vocabulary,
            HiddenSize = 32,
            IntermediateSize = 48,
            Layers = 2,
            Heads = heads,
            KeyValueHeads = groups,
            HeadDim = 16,
            Landmark = new LandmarkConfig
            {
                Id = Vocabulary - 1,
                BlockTokens = blockTokens,
                TrainContext = 128,
                Loss = loss,
                TopK = topK,
                WindowPositions = windowBlocks * (blockTokens + 1),
            },
        };

    public static ModelConfig Plain(int? slidingWindow = null) => Config(4) with { Landmark = null, SlidingWindow = slidingWindow };

    /// <summary>The same with a context-miss token.</summary>
    public static ModelConfig WithMiss(ModelConfig config, double cutoff = 0) =>
        config with { Landmark = config.Landmark! with { MissId = Vocabulary - 2, MissCutoff = cutoff } };

    public static Decoder Create(ModelConfig config, int seed = 1)
    {
        LibTorch.Load();
        using var random = new Generator((ulong)seed, CPU);
        return new Decoder(config, (name, shape) =>
            shape.Length == 1 ? ones(shape)
                : randn(shape, generator: random) * (name.Contains("embed", StringComparison.Ordinal) ? 1 : 0.3));
    }

    public static int[] Tokens(int count, int seed = 7)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary - 1))];
    }

    public static int[] WithLandmarks(ModelConfig config, int[] tokens) =>
        LandmarkStream.Insert(tokens, config.Landmark!.BlockTokens, config.Landmark.Id);

    public static BlockMemory Memory(Decoder decoder, RetrievalOptions options) =>
        new(decoder.Config.Layers, decoder.Config.Landmark!.BlockLength, decoder.Config.Landmark.WindowPositions, decoder.Rotary, options,
            decoder.ComputeType, decoder.Device, ContextMissKeys.Of(decoder));

    /// <summary>Logits of every position, [S, V], the input given in pieces of these sizes (the last one repeated).</summary>
    public static float[,] Run(Decoder decoder, ContextMemory memory, int[] input, params int[] pieces)
    {
        using var quiet = inference_mode();
        var logits = new float[input.Length, decoder.Config.VocabularySize];
        var (at, piece) = (0, 0);
        while (at < input.Length)
        {
            using var scope = NewDisposeScope();
            var size = pieces[Math.Min(piece++, pieces.Length - 1)];
            for (var end = Math.Min(at + size, input.Length); at < end;)
            {
                var count = Math.Min(end - at, memory.Room);
                memory.Begin(count);
                var hidden = decoder.Forward(Ids(input[at..(at + count)]), memory);
                memory.End();
                var flat = decoder.Logits(hidden).contiguous().data<float>().ToArray();
                Buffer.BlockCopy(flat, 0, logits, at * logits.GetLength(1) * sizeof(float), flat.Length * sizeof(float));
                at += count;
            }
        }
        return logits;
    }

    /// <summary>As <see cref="Run"/>, but before each pass one over so many positions fails in the second layer.</summary>
    public static float[,] RunWithFailures(Decoder decoder, ContextMemory memory, int[] input, int piece, int failed)
    {
        var logits = new float[input.Length, decoder.Config.VocabularySize];
        for (var at = 0; at < input.Length; at += piece)
        {
            using var quiet = inference_mode();
            using var scope = NewDisposeScope();
            var wrong = Tokens(Math.Min(failed, memory.Room), seed: at);
            memory.Begin(wrong.Length);
            Assert.Throws<OperationCanceledException>(() => decoder.Forward(Ids(wrong), new FailsInTheSecondLayer(memory)));
            var part = Run(decoder, memory, input[at..Math.Min(at + piece, input.Length)], piece);
            Buffer.BlockCopy(part, 0, logits, at * logits.GetLength(1) * sizeof(float), part.Length * sizeof(float));
        }
        return logits;
    }

    private sealed class FailsInTheSecondLayer(ContextMemory memory) : IAttention
    {
        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            var result = memory.Attend(layer, q, k, v);
            return layer < 1 ? result : throw new OperationCanceledException();
        }
    }

    /// <summary>Logits of one dense pass.</summary>
    public static float[,] Dense(Decoder decoder, int[] input)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var length = decoder.Config.Landmark!.BlockLength;
        using var layout = BlockLayout.Regular(input.Length, input.Length, length, length);
        using var attention = new DenseAttention(decoder.Rotary, layout);
        var flat = decoder.Logits(decoder.Forward(Ids(input), attention)).contiguous().data<float>().ToArray();
        var logits = new float[input.Length, decoder.Config.VocabularySize];
        Buffer.BlockCopy(flat, 0, logits, 0, flat.Length * sizeof(float));
        return logits;
    }

    public static void Close(float[,] expected, float[,] actual, double tolerance)
    {
        var worst = 0.0;
        for (var i = 0; i < expected.GetLength(0); i++)
        {
            for (var j = 0; j < expected.GetLength(1); j++)
            {
                var error = Math.Abs(expected[i, j] - actual[i, j]);
                worst = Math.Max(worst, double.IsNaN(error) ? double.PositiveInfinity : error);
            }
        }
        Assert.True(worst <= tolerance, $"largest difference {worst:G3}, allowed {tolerance:G3}");
    }

    private static Tensor Ids(int[] tokens) => tensor(tokens.Select(t => (long)t).ToArray()).unsqueeze(0);
}
