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
    private const int Width = 8;

    public BlockPositionsTests() => LibTorch.Load();

    [Fact]
    public void StingySlotsAreTheExamples()
    {
        using var scope = NewDisposeScope();
        using var cases = JsonDocument.Parse(File.ReadAllText(Golden.Path("paper-cases.json")));
        foreach (var example in cases.RootElement.GetProperty("H_stingy").EnumerateArray())
        {
            var (n, k) = (example.GetProperty("n").GetInt32(), example.GetProperty("k").GetInt32());
            // Fewer blocks than k: the same rule with k = n, which moves nothing against the window (section 3.2).
            var used = Math.Min(k, n);
            var shift = k - used;
            Assert.Equal(Longs("landmark_slots").Select(s => s - shift), ScannedSlots(PositionMode.Stingy, n, used));
            Assert.Equal(Longs("slots").Select(s => s - shift), ReadSlots(PositionMode.Stingy, n, used, Longs("sel")));

            long[] Longs(string name) => [.. example.GetProperty(name).EnumerateArray().Select(x => x.GetInt64())];
        }
    }

    /// <summary>Of fewer than k, old ones stand from the left and recent ones, of the last k, from the right.</summary>
    [Fact]
    public void FewerThanKLeaveTheSlotsBetweenEmpty()
    {
        using var scope = NewDisposeScope();
        foreach (var (chosen, slots) in ((long[], long[])[])[([1, 5, -1, -1], [0, 4]), ([5, 6, -1, -1], [3, 4]), ([0, 2, 3, -1], [0, 1, 4]), ([0, 1, 5, 6], [0, 1, 3, 4])])
            Assert.Equal(slots, ReadSlots(PositionMode.Stingy, 7, 4, chosen)[..slots.Length]);
        Assert.Equal([2, 6], ReadSlots(PositionMode.True, 7, 3, [2, 6, -1])[..2]);
    }

    [Fact]
    public void TruePositionsAreTheTexts()
    {
        using var scope = NewDisposeScope();
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], ScannedSlots(PositionMode.True, 7, 2));
        Assert.Equal([0, 6], ReadSlots(PositionMode.True, 7, 2, [0, 6]));
        Assert.Equal([2, 3], ReadSlots(PositionMode.True, 7, 2, [2, 3]));
    }

    [Fact]
    public void EqualKeysInOneSlotScoreEqualToTheLastBit()
    {
        using var scope = NewDisposeScope();
        var keys = randn(2, 1, 64).expand(2, 900, 64);
        using var mapping = BlockPositions.Create(
            PositionMode.Stingy, 3, 900, Length, arange(5), new RotaryScaling().Create(64), ScalarType.Float32);
        var old = mapping.Scan(mapping.Turn(randn(4, 5, 64)), keys, tied: true)[.., .., ..897];
        Assert.True(old.eq(old[.., .., ..1]).all().item<bool>());
    }

    /// <summary>In which slot each block's landmark is scored: found with a query and a key that tell positions apart.</summary>
    private static long[] ScannedSlots(PositionMode mode, int n, int k)
    {
        using var mapping = Create(mode, k, n);
        var scores = mapping.Scan(mapping.Turn(Query), AtOffset(Length - 1).expand(1, n, Width), tied: false)[0, 0];
        return Slots(WindowStart(mode, k, n), n, Length - 1, scores);
    }

    /// <summary>In which slot each chosen block is read.</summary>
    private static long[] ReadSlots(PositionMode mode, int n, int k, long[] chosen)
    {
        using var mapping = Create(mode, k, n);
        var turned = mapping.ForReading(mapping.Turn(Query), tensor(chosen).view(1, 1, -1))[0, 0]; // [k, d]
        return Slots(WindowStart(mode, k, n), n, 1, (turned * AtOffset(1)[0]).sum(-1));
    }

    private static BlockPositions Create(PositionMode mode, int k, int n) =>
        BlockPositions.Create(mode, k, n, Length, tensor([2L]), TellingApart, ScalarType.Float64);

    private static Rotary TellingApart { get; } = new RotaryScaling(Theta: 100).Create(Width);

    private static Tensor Query => arange(1, Width + 1, dtype: ScalarType.Float64).view(1, 1, Width);

    private static Tensor Key => arange(1, Width + 1, dtype: ScalarType.Float64).cos().view(1, 1, Width);

    private static Tensor AtOffset(long offset) => TellingApart.Rotate(Key, tensor([offset]));

    /// <summary>The window comes after the k+1 slots, or after the whole text.</summary>
    private static long WindowStart(PositionMode mode, int k, int n) => (mode == PositionMode.Stingy ? k + 1 : n) * Length;

    /// <summary>Which slots give these scores at an offset, to the place 2 of the window.</summary>
    private static long[] Slots(long windowStart, int n, long offset, Tensor scores)
    {
        var query = TellingApart.Rotate(Query, tensor([windowStart + 2]));
        var bySlot = Enumerable.Range(0, n + 1)
            .Select(slot => (query * TellingApart.Rotate(Key, tensor([(slot * Length) + offset]))).sum().item<double>()).ToArray();
        return [.. scores.data<double>().ToArray().Select(s => (long)Array.FindIndex(bySlot, x => Math.Abs(x - s) < 1e-10))];
    }
}
