using System.Diagnostics;
using System.Runtime.InteropServices;
using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Bench;

/// <summary>A memory file of the shipped model's shape, of random numbers as int8: how long it takes to write, to open and to read.</summary>
internal static class MemoryTimes
{
    private const int Rounds = 5, Reads = 20_000;

    private static readonly MemoryModel Model = new("random", "random", Layers: 10, Heads: 4, HeadDim: 64, BlockTokens: 63);

    /// <summary>Writes the file where it is not there yet, and reads it.</summary>
    /// <param name="path">The file; it stays, to be read again.</param>
    /// <param name="tokens">Tokens of a new one.</param>
    /// <param name="segmentBlocks">Blocks of each of its segments.</param>
    public static void Measure(string path, int tokens, int segmentBlocks)
    {
        if (!File.Exists(path)) Write(path, tokens / Model.BlockTokens / segmentBlocks, segmentBlocks);
        for (var round = 0; round < Rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            using var file = MemoryFile.Open(path, Model);
            var opened = clock.Elapsed;
            MemorySegment[] segments = [.. file.Documents.SelectMany(d => d.Segments)];
            var blocks = segments.Sum(s => s.Blocks);
            var keys = Enumerable.Range(0, Model.Layers).Select(_ => GC.AllocateUninitializedArray<float>(Model.Heads * blocks * Model.HeadDim)).ToArray();
            for (var layer = 0; layer < Model.Layers; layer++) file.ReadLandmarks(layer, segments, keys[layer]);
            Console.WriteLine(
                $"{blocks:N0} blocks in {segments.Length} segments, {file.Bytes / 1e9:F2} GB: opened in {opened.TotalMilliseconds:F1} ms, "
                + $"with landmark keys ({keys.Sum(k => k.Length * 4L) / 1e6:F0} MB) in {clock.Elapsed.TotalMilliseconds:F0} ms; a block's head, "
                + $"copied {Read(file, segments, mapped: false):F1} µs, mapped {Read(file, segments, mapped: true):F1} µs");
        }
    }

    private static double Read(MemoryFile file, MemorySegment[] segments, bool mapped)
    {
        var (random, layer) = (new Random(1), Model.Layers / 2);
        var (numbers, scales) = (new byte[2 * Model.BlockTokens * Model.HeadDim], new float[2 * Model.BlockTokens]);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < Reads; i++)
        {
            var segment = segments[random.Next(segments.Length)];
            var (block, head) = (random.Next(segment.Blocks), random.Next(Model.Heads));
            if (mapped) _ = file.MapHead(segment, layer, block, head);
            else file.ReadHead(segment, layer, block, head, numbers, scales);
        }
        return clock.Elapsed.TotalMicroseconds / Reads;
    }

    private static void Write(string path, int segments, int blocks)
    {
        var random = new Random(0);
        var (count, rows) = (blocks * Model.BlockTokens, blocks * Model.Heads * 2 * Model.BlockTokens);
        var (numbers, scales, keys) = (new byte[rows * Model.HeadDim], new float[rows], new float[blocks * Model.Heads * Model.HeadDim]);
        random.NextBytes(numbers);
        random.NextBytes(MemoryMarshal.AsBytes(keys.AsSpan()));
        var text = new SegmentText(new int[count], [.. Enumerable.Range(0, count).Select(i => i * 4)], new byte[count * 4]);
        var clock = Stopwatch.StartNew();
        using var writer = MemoryFileWriter.Create(path, Model, ScalarType.Int8);
        writer.Documents.Add("random");
        for (var i = 0; i < segments; i++)
        {
            writer.Documents.Append("random", text, segment =>
            {
                for (var layer = 0; layer < Model.Layers; layer++)
                {
                    segment.WriteBlocks(layer, 0, numbers, scales);
                    segment.WriteLandmarks(layer, keys);
                }
            });
            writer.Commit();
        }
        Console.WriteLine(
            $"{segments} commits written in {clock.Elapsed.TotalSeconds:F1} s, {new FileInfo(path).Length / clock.Elapsed.TotalSeconds / 1e6:F0} MB/s");
    }
}
