using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Bench;

/// <summary>Attention with retrieval over a whole text on a Hopper card, against dense landmark attention over the same.</summary>
internal static class PrefillTimes
{
    private const int Length = 64;

    /// <summary>Numbers of a normal distribution: 32 heads of 128, each with its own keys or four with the same.</summary>
    public static void Random(int positions)
    {
        foreach (var (groups, topK) in new[] { (32, 4), (8, 4), (32, 8), (32, 16) })
        {
            using var scope = NewDisposeScope();
            Tensor Make(int heads) => randn([heads, positions, 128], ScalarType.BFloat16, CUDA);
            Time($"random, 32 heads, {groups} of keys", Make(32), Make(groups), Make(groups), new RotaryScaling().Create(128), topK);
        }
    }

    /// <summary>What a model asks and keeps while it reads a text, all layers' heads at once.</summary>
    public static void Model(LandmarkEngine engine, string text, int positions, int topK)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var landmark = engine.Config.Landmark ?? throw new LandmarkException("The benchmark needs a model with landmarks.");
        var ids = LandmarkStream.Insert([.. engine.Tokenizer.Encode(text)], landmark.BlockTokens, landmark.Id);
        if (ids.Length < positions) throw new LandmarkException($"The text has {ids.Length} positions, and {positions} are wanted.");
        using var memory = new BlockMemory(
            engine.Config.Layers, landmark.BlockLength, landmark.WindowPositions, engine.Decoder.Rotary, engine.Retrieval!,
            engine.Decoder.ComputeType, engine.Decoder.Device);
        var record = new Record(memory, engine.Config.Layers);
        for (var from = 0; from < positions;)
        {
            using var part = NewDisposeScope();
            var count = Math.Min(memory.Room, positions - from);
            memory.Begin(count);
            engine.Decoder.Forward(tensor(ids.AsSpan(from, count).ToArray(), ScalarType.Int64, engine.Decoder.Device).unsqueeze(0), record);
            memory.End();
            from += count;
        }
        Tensor Whole(int which) => cat(
            [.. Enumerable.Range(0, engine.Config.Layers).Select(layer => cat(record.Parts[layer].Select(p => p[which]).ToList(), 1))], 0)
            .to(ScalarType.BFloat16).to(CUDA);
        Time($"model, {engine.Config.Layers} layers", Whole(0), Whole(1), Whole(2), engine.Decoder.Rotary, topK);
    }

    private static void Time(string name, Tensor q, Tensor k, Tensor v, Rotary rotary, int topK)
    {
        var (positions, groups, width) = ((int)q.shape[1] / Length * Length, (int)k.shape[0], (int)q.shape[2]);
        (q, k, v) = (q.narrow(1, 0, positions), k.narrow(1, 0, positions), v.narrow(1, 0, positions));
        var at = arange(positions, device: CUDA);
        Tensor InBlocks(Tensor x) => x.view(groups, positions / Length, Length, width);
        var local = InBlocks(rotary.Rotate(k, at % Length));                                // [G, n, L, d]
        var blocks = stack([local, InBlocks(v)], 2).narrow(3, 0, Length - 1).transpose(0, 1).contiguous();
        var landmarks = local.select(2, Length - 1).contiguous();
        var (turned, keys, values) = (rotary.Rotate(q, at).unsqueeze(0), rotary.Rotate(k, at).unsqueeze(0), v.unsqueeze(0));
        var dense = Median(() => HopperAttention.Forward(turned, keys, values, new(new(positions, positions, Length, Length), 1 / Math.Sqrt(width))).Output.Dispose());
        Console.WriteLine($"{name}, head {width}, {positions:N0} positions: dense {dense:F2} ms");
        foreach (var mode in new[] { SelectionMode.PerTokenAndHead, SelectionMode.PerTokenAndGroup, SelectionMode.PerToken, SelectionMode.PerHead })
            Retrieve(new RetrievalOptions { TopK = topK, Selection = mode }, $"{mode}");
        var each = new RetrievalOptions { TopK = topK, Selection = SelectionMode.PerTokenAndHead };
        foreach (var cutoff in new[] { 0, 0.1, 0.3, 1 }) Retrieve(each with { MissCutoff = cutoff }, $"cut-off {cutoff}");
        foreach (var mass in new[] { 0.9, 0.5 }) Retrieve(each with { Mass = mass }, $"mass {mass}");

        void Retrieve(RetrievalOptions options, string what)
        {
            using var scope = NewDisposeScope();
            var miss = options.MissCutoff is null ? null : randn([groups, width], q.dtype, q.device) * 2;
            using var prefill = new CudaPrefill(0, options.WindowBlocks, 0, positions, Length, rotary, options, q.dtype, q.device);
            var time = Median(() => prefill.Attend(q, blocks, landmarks, tied: false, account: false, miss).Output.Dispose());
            using var chosen = prefill.Attend(q, blocks, landmarks, tied: false, miss: miss).Chosen;
            using var read = chosen?.ge(0).sum();
            Console.WriteLine($"    k {topK,2} {what,-17} {time,8:F2} ms, {dense / time:F1} x, {read?.item<long>() / (double)(q.shape[0] * positions):F2} blocks read");
        }
    }

    private static double Median(Action run)
    {
        List<double> times = [];
        for (var i = 0; i < 7; i++)
        {
            cuda.synchronize();
            var clock = Stopwatch.StartNew();
            run();
            cuda.synchronize();
            if (i >= 2) times.Add(clock.Elapsed.TotalMilliseconds);
        }
        return times.Order().ElementAt(times.Count / 2);
    }

    private sealed class Record(IAttention inner, int layers) : IAttention
    {
        public List<Tensor[]>[] Parts { get; } = [.. Enumerable.Range(0, layers).Select(_ => new List<Tensor[]>())];

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            Parts[layer].Add([.. new[] { q, k, v }.Select(x => x.squeeze(0).cpu().clone().DetachFromDisposeScope())]);
            return inner.Attend(layer, q, k, v);
        }
    }
}
