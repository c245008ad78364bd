using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Bench;

/// <summary>
/// A text of random tokens, read as a session reads it, and then gone on with greedily. What is read costs the same
/// whatever it says, since as many blocks are chosen from any text.
/// </summary>
internal sealed class Reading : IDisposable
{
    private readonly LandmarkEngine engine;
    private readonly BlockMemory memory;
    private readonly LandmarkStream stream;
    private readonly List<double> milliseconds = [];
    private readonly List<int> waiting = [];
    private TimeSpan scan;
    private int next;

    public Reading(LandmarkEngine engine, int tokens)
    {
        var landmark = engine.Config.Landmark ?? throw new LandmarkException("The benchmark needs a model with landmarks.");
        (this.engine, Tokens, stream) = (engine, tokens, new LandmarkStream(landmark.BlockTokens, landmark.Id));
        memory = new BlockMemory(
            engine.Config.Layers, landmark.BlockLength, landmark.WindowPositions, engine.Decoder.Rotary, engine.Retrieval!,
            engine.Decoder.ComputeType, engine.Decoder.Device);
        memory.Reserve(LandmarkStream.CountWithLandmarks(tokens + 1024, landmark.BlockTokens));
        var random = new Random(1);
        var text = Enumerable.Range(0, tokens).Select(_ => random.Next(3, landmark.Id)).ToArray();
        var clock = Stopwatch.StartNew();
        stream.Push(text, waiting);
        while (waiting.Count > 0) Run(Math.Min(memory.Room, waiting.Count));
        PrefillTokensPerSecond = tokens / clock.Elapsed.TotalSeconds;
        memory.Observer = (_, read) => scan += read.ScanTime;
    }

    /// <summary>Regular tokens of the text.</summary>
    public int Tokens { get; }

    public double PrefillTokensPerSecond { get; }

    /// <summary>Milliseconds per token.</summary>
    public double Median => milliseconds.Order().ElementAt(milliseconds.Count / 2);

    /// <summary>The fastest token's milliseconds: what the machine does when left alone.</summary>
    public double Best => milliseconds.Min();

    /// <summary>The share of a token's time that goes to scanning landmarks and choosing blocks.</summary>
    public double ScanShare => scan.TotalMilliseconds / milliseconds.Sum();

    public long MemoryBytes => memory.Bytes;

    /// <summary>Times both texts in turns, so that what else the machine does meets both alike.</summary>
    public static void Alternate(Reading a, Reading b, int warmUp, int rounds, int tokens)
    {
        foreach (var reading in new[] { a, b })
        {
            for (var i = 0; i < warmUp; i++) reading.Step();
            reading.milliseconds.Clear();
            reading.scan = TimeSpan.Zero;
        }
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < tokens; i++) a.Step();
            for (var i = 0; i < tokens; i++) b.Step();
        }
    }

    public void Dispose() => memory.Dispose();

    /// <summary>One token: its pass, the logits, the likeliest next; now and then a landmark's pass besides.</summary>
    private void Step()
    {
        var clock = Stopwatch.StartNew();
        stream.Push([next], waiting);
        Run(waiting.Count);
        milliseconds.Add(clock.Elapsed.TotalMilliseconds);
    }

    private void Run(int count)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var ids = waiting.Take(count).Select(t => (long)t).ToArray();
        waiting.RemoveRange(0, count);
        memory.Begin(count);
        var hidden = engine.Decoder.Forward(tensor(ids).unsqueeze(0), memory);
        memory.End();
        if (waiting.Count == 0)
            next = (int)engine.Decoder.Logits(hidden.narrow(1, hidden.shape[1] - 1, 1)).argmax(-1).item<long>();
    }
}
