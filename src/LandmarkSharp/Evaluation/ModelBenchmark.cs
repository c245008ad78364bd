using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>A whole model after a text that it has read, as <see cref="ModelBenchmark"/> measures it; unless told otherwise Llama 3.1 8B.</summary>
public sealed record ModelCase
{
    /// <summary>Layers.</summary>
    public int Layers { get; init; } = 32;

    /// <summary>Width of the residual stream.</summary>
    public int HiddenSize { get; init; } = 4096;

    /// <summary>Width of the feed-forward layer.</summary>
    public int IntermediateSize { get; init; } = 14336;

    /// <summary>Rows of the embedding, and of the output matrix.</summary>
    public int Vocabulary { get; init; } = 128256;

    /// <summary>A layer's attention.</summary>
    public required DecodeCase Attention { get; init; }

    /// <summary>The model's shapes.</summary>
    /// <exception cref="LandmarkException">They do not fit each other.</exception>
    internal ModelConfig Config() => new ModelConfig
    {
        VocabularySize = Vocabulary,
        HiddenSize = HiddenSize,
        IntermediateSize = IntermediateSize,
        Layers = Layers,
        Heads = Attention.Heads,
        KeyValueHeads = Attention.KeyValueHeads,
        HeadDim = Attention.HeadDim,
        Rotary = new RotaryScaling(Theta: 500_000),
    }.Checked("The model");
}

/// <summary>What a new token costs.</summary>
/// <param name="Parameters">Of the model.</param>
/// <param name="Tokens">Positions that were held before the first.</param>
/// <param name="Seconds">Of a token, from its number to the next one's.</param>
/// <param name="AttentionSeconds">Of those, what the layers' attention took, keys and values written and read; projections are not in it.</param>
/// <param name="CardCacheBytes">Keys and values, of tokens and landmarks, that lie on a card.</param>
/// <param name="HostCacheBytes">Those that lie in this machine's memory.</param>
/// <param name="CardBytes">What all of it took of the card; null without one.</param>
public sealed record ModelTiming(
    long Parameters, int Tokens, double Seconds, double AttentionSeconds, long CardCacheBytes, long HostCacheBytes, long? CardBytes);

/// <summary>
/// Measures whole tokens of a model with random weights, after a memory of random keys and values: what a text's length costs, without
/// the hours that reading it would take.
/// </summary>
/// <param name="device">Where the model is.</param>
public sealed class ModelBenchmark(Device device)
{
    private const int WarmUp = 8;

    private bool OnCard => device.type == DeviceType.CUDA;

    /// <summary>Measures tokens one after the other, each the likeliest after the one before.</summary>
    /// <param name="shape">What is measured.</param>
    /// <param name="tokens">Positions that are held at first, in whole blocks.</param>
    /// <param name="steps">Tokens that are measured.</param>
    /// <param name="cancel">Stops after the token at hand.</param>
    /// <exception cref="LandmarkException">There is no such model, or it does not fit this machine.</exception>
    public ModelTiming Run(ModelCase shape, int tokens, int steps, CancellationToken cancel = default)
    {
        var attention = shape.Attention;
        attention.Check();
        var config = shape.Config();
        var options = new RetrievalOptions
        {
            TopK = attention.TopK,
            Mass = attention.Mass,
            BlockType = attention.Blocks,
            HostBlocks = attention.HostBlocks,
        }.Checked();
        var blocks = tokens / attention.Block;
        var room = ((WarmUp + (2L * steps)) / attention.Block) + 2;
        CheckRoom(config, attention, blocks + room);

        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        if (OnCard) zeros(1, device: device).Dispose();     // what a card takes before anything is on it does not count
        var before = ProcessMemory.CardBytes(device);
        using var model = new Decoder(config, Parameter, attention.Type);
        using var memory = new BlockMemory(config.Layers, attention.Block, int.MaxValue, model.Rotary, options, attention.Type, device);
        memory.StartAfter(blocks, config.KeyValueHeads, Fill, room);
        var token = zeros([1, 1], ScalarType.Int64, device);

        var whole = Seconds(Step, steps);
        using var clock = new AttentionClock(memory, config.Layers, device);
        var inAttention = 0.0;
        for (var i = 0; i < steps; i++)
        {
            cancel.ThrowIfCancellationRequested();
            Step(clock);
            inAttention += clock.Seconds();
        }
        var (landmarks, values) = (memory.Layers.Sum(l => Bytes(l!.Landmarks)), memory.Layers.Sum(l => Bytes(l!.Blocks) + Bytes(l.Scales)));
        var onCard = !OnCard ? 0 : attention.HostBlocks ? landmarks : landmarks + values;
        return new ModelTiming(
            model.ParameterCount, blocks * attention.Block, whole, inAttention / steps, onCard, landmarks + values - onCard,
            ProcessMemory.CardBytes(device) - before);

        void Step(IAttention by)
        {
            using var step = NewDisposeScope();
            memory.Begin(1);
            var next = model.Logits(model.Forward(token, by)).argmax(-1);
            memory.End();
            token.copy_(next);
        }

        double Seconds(Action<IAttention> step, int count)
        {
            for (var i = 0; i < WarmUp; i++) step(memory);
            if (OnCard) cuda.synchronize(device);
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < count; i++)
            {
                cancel.ThrowIfCancellationRequested();
                step(memory);
                _ = token.item<long>();                     // as one who generates looks at each
            }
            return Stopwatch.GetElapsedTime(start).TotalSeconds / count;
        }

        Tensor Parameter(string name, long[] sizes) =>
            sizes.Length == 1 ? ones(sizes, attention.Type, device) : randn(sizes, attention.Type, device).mul_(0.02);

        void Fill(int layer, LayerBlocks held)
        {
            cancel.ThrowIfCancellationRequested();
            if (held.Scales is { } scales)
            {
                held.Blocks.random_(-127, 128);
                scales.uniform_(0, 0.02);
            }
            else
            {
                held.Blocks.normal_();
            }
            held.Landmarks.normal_();
        }
    }

    /// <summary>Throws where this machine's memory does not hold what goes there; a card says so itself.</summary>
    private void CheckRoom(ModelConfig config, DecodeCase attention, long blocks)
    {
        var rows = blocks * config.Layers * config.KeyValueHeads;
        var cache = rows * 2 * (attention.Block - 1) * BlockType.RowBytes(BlockType.Of(new() { BlockType = attention.Blocks }, attention.Type, device), config.HeadDim);
        var size = attention.Type == ScalarType.Float32 ? 4L : 2;
        long hidden = config.HiddenSize, heads = config.Heads + config.KeyValueHeads;
        var weights = size * ((2 * hidden * config.VocabularySize)
            + (config.Layers * hidden * ((2 * heads * config.HeadDim) + (3L * config.IntermediateSize))));
        var needed = OnCard ? attention.HostBlocks ? cache : 0 : weights + cache + (rows * config.HeadDim * size);
        if (needed > ProcessMemory.AvailableBytes)
            throw new LandmarkException(
                $"{(OnCard ? "The keys and values take" : "The model and its memory take")} {needed / 1e9:N1} GB, and this machine has "
                + $"{ProcessMemory.AvailableBytes / 1e9:N1} GB left; give fewer --layers or --tokens.");
    }

    private static long Bytes(Tensor? x) => x is null ? 0 : x.numel() * x.element_size();

    /// <summary>Adds up what attention takes, on a card by its own clock.</summary>
    private sealed class AttentionClock(IAttention attention, int layers, Device device) : IAttention, IDisposable
    {
        private readonly CudaTimer[] marks =
            [.. Enumerable.Range(0, device.type == DeviceType.CUDA ? layers : 0).Select(_ => new CudaTimer(Math.Max(0, device.index)))];
        private long ticks;

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            var start = Stopwatch.GetTimestamp();
            if (marks.Length > 0) marks[layer].Start();
            var output = attention.Attend(layer, q, k, v);
            if (marks.Length > 0) marks[layer].Stop();
            ticks += Stopwatch.GetTimestamp() - start;
            return output;
        }

        /// <summary>Since the last time that it was asked, of one token; waits for a card.</summary>
        public double Seconds()
        {
            var seconds = marks.Length > 0 ? marks.Sum(m => m.Seconds) : ticks / (double)Stopwatch.Frequency;
            ticks = 0;
            return seconds;
        }

        public void Dispose()
        {
            foreach (var mark in marks) mark.Dispose();
        }
    }
}
