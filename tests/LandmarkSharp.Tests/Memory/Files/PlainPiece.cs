using System.Runtime.InteropServices;
using LandmarkSharp.Memory.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>What a segment has in it, in plain arrays, made up from a number: 0 to 3 blocks, of which 0 are a tail.</summary>
internal sealed class PlainPiece
{
    private readonly byte[][] numbers;      // by layer: [blocks, G, 2, ℓ, d]
    private readonly float[][] scales;      // by layer: [blocks, G, 2, ℓ]
    private readonly float[][] landmarks;   // by layer: [G, blocks, d]

    public PlainPiece(MemoryModel model, ScalarType type, int seed)
    {
        var random = new Random(seed);
        Blocks = random.Next(model.BlockTokens > 1 ? 0 : 1, 4);
        var tokens = Blocks > 0 ? Blocks * model.BlockTokens : random.Next(1, model.BlockTokens);
        // Bytes of any kind, since tokens may cut characters; and tokens that stand for none.
        var text = Bytes(random, random.Next(tokens * 5));
        int[] starts = [0, .. Enumerable.Range(1, tokens - 1).Select(_ => random.Next(text.Length + 1)).Order()];
        Text = new SegmentText([.. Enumerable.Range(0, tokens).Select(_ => random.Next())], starts, text);
        HeadNumbers = 2 * model.BlockTokens * model.HeadDim * (int)type.ElementSize();
        HeadScales = type == ScalarType.Int8 ? 2 * model.BlockTokens : 0;
        T[][] Layers<T>(Func<T[]> make) => [.. Enumerable.Range(0, model.Layers).Select(_ => make())];
        numbers = Layers(() => Bytes(random, Blocks * model.Heads * HeadNumbers));
        scales = Layers(() => Floats(random, Blocks * model.Heads * HeadScales));
        landmarks = Layers(() => Floats(random, Blocks * model.Heads * model.HeadDim));
    }

    public int Blocks { get; }

    public int HeadNumbers { get; }

    public int HeadScales { get; }

    public SegmentText Text { get; }

    public ReadOnlySpan<byte> Numbers(int layer) => numbers[layer];

    public ReadOnlySpan<float> Scales(int layer) => scales[layer];

    public ReadOnlySpan<float> Landmarks(int layer) => landmarks[layer];

    /// <summary>Writes it, blocks one by one and from the last layer to the first.</summary>
    public void Write(SegmentWriter segment)
    {
        Assert.Equal(Blocks, segment.Blocks);
        for (var layer = numbers.Length - 1; layer >= 0; layer--)
        {
            for (var block = 0; block < Blocks; block++)
            {
                var (size, count) = (numbers[layer].Length / Blocks, scales[layer].Length / Blocks);
                segment.WriteBlocks(
                    layer, block, numbers[layer].AsSpan(block * size, size), scales[layer].AsSpan(block * count, count));
            }
            segment.WriteLandmarks(layer, landmarks[layer]);
        }
    }

    private static byte[] Bytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static float[] Floats(Random random, int count) =>
        MemoryMarshal.Cast<byte, float>(Bytes(random, count * sizeof(float))).ToArray();
}
