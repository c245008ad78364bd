using System.Text.Json;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Slots of retrieved blocks (landmark-attention.md 3.2 and case H of section 7).</summary>
public sealed class BlockPositionsTests
{
    private const int Length = 4;

    public BlockPositionsTests() => LibTorch.Load();

    [Fact]
    public void StingySlotsAreTheExamples()
    {
        using var scope = NewDisposeScope();
        using var cases = JsonDocument.Parse(File.ReadAllText(Golden.Path("paper-cases.json")));
        foreach (var example in cases.RootElement.GetProperty("H_stingy").EnumerateArray())
        {
            var (n, k) = (example.GetProperty("n").GetInt32(), example.GetProperty("k").GetInt32());
            var (selected, slots) = (Longs("sel"), Longs("slots"));
            // Fewer blocks than k: the same rule with k = n, which moves nothing against the window (section 3.2).
            var used = Math.Min(k, n);
            var mapping = BlockPositions.Create(PositionMode.Stingy, used, n, Length);
            Assert.Equal((used + 1) * Length, mapping.WindowStart);
            var shift = k - used;
            Assert.Equal(slots.Select(s => (s - shift) * Length), mapping.Starts(tensor(selected).view(1, 1, -1)).data<long>().ToArray());
            Assert.Equal(Longs("landmark_slots").Select(s => s - shift), ScanSlots(mapping, n, used));

            long[] Longs(string name) => [.. example.GetProperty(name).EnumerateArray().Select(x => x.GetInt64())];
        }
    }

    [Fact]
    public void TruePositionsAreTheTexts()
    {
        using var scope = NewDisposeScope();
        var mapping = BlockPositions.Create(PositionMode.True, 2, 7, Length);
        Assert.Equal(7 * Length, mapping.WindowStart);
        Assert.Equal([0, 24], mapping.Starts(tensor([0L, 6]).view(1, 1, 2)).data<long>().ToArray());
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], ScanSlots(mapping, 7, 6));
    }

    [Fact]
    public void EqualKeysInOneSlotScoreEqualToTheLastBit()
    {
        using var scope = NewDisposeScope();
        var rotary = new RotaryScaling().Create(64);
        var keys = randn(2, 1, 64).expand(2, 900, 64);
        var mapping = BlockPositions.Create(PositionMode.Stingy, 3, 900, Length);
        var scores = mapping.Scan(randn(4, 5, 64), arange(5) + mapping.WindowStart, keys, rotary, tied: true);
        var old = scores[.., .., ..897];
        Assert.True(old.eq(old[.., .., ..1]).all().item<bool>());
    }

    /// <summary>Which slot each block's landmark was scored in: found by scoring with a key that tells positions apart.</summary>
    private static long[] ScanSlots(BlockPositions mapping, int n, int k)
    {
        const int d = 8;
        var rotary = new RotaryScaling(Theta: 100).Create(d);
        using var random = new Generator(5, CPU);
        var q = randn([1, 1, d], dtype: ScalarType.Float64, generator: random);
        var key = randn([1, 1, d], dtype: ScalarType.Float64, generator: random);
        var position = tensor([mapping.WindowStart + 2]);
        var local = rotary.Rotate(key, tensor([(long)Length - 1]));                         // block-local phase, offset ℓ
        var scores = mapping.Scan(q, position, local.expand(1, n, d), rotary, tied: false)[0, 0].data<double>().ToArray();
        var turned = rotary.Rotate(q, position);
        var bySlot = Enumerable.Range(0, Math.Max(n, k + 1)).Select(slot =>
            (turned * rotary.Rotate(key, tensor([(long)(slot * Length) + Length - 1]))).sum().item<double>()).ToArray();
        return [.. scores.Select(s => (long)Array.FindIndex(bySlot, x => Math.Abs(x - s) < 1e-10))];
    }
}
