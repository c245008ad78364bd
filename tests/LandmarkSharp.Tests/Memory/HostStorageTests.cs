using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Blocks at addresses that are set aside: as they grow, and where the first are a file's.</summary>
public sealed class HostStorageTests
{
    /// <summary>Where more addresses are needed than were set aside, what there is goes along, to the last bit.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void WhatOutgrowsItsAddressesIsKept(ScalarType type)
    {
        LibTorch.Load();
        using var scope = NewDisposeScope();
        var shape = new BlockShape(Groups: 3, Tokens: 5, Width: 7, ScalarType.Float32, type);
        using var storage = new HostStorage(shape, addresses: 1);
        var (blocks, scales, landmarks) = (
            randn(shape.Blocks(40)).mul(50).to(type), type == ScalarType.Int8 ? rand(shape.Scales(40)) : null, randn(shape.Landmarks(40)));
        // Pages of 4,096 bytes hold a block each, and 146 landmark keys of a head: the one outgrows its addresses sooner than the other.
        foreach (var (capacity, used) in ((long, long)[])[(1, 0), (2, 1), (9, 2), (40, 9), (900, 40)])
        {
            storage.Grow(capacity, used);
            Assert.Equal(capacity, storage.Blocks.shape[0]);
            var kept = Math.Min(used, 40);
            Assert.True(storage.Blocks.narrow(0, 0, kept).eq(blocks.narrow(0, 0, kept)).all().item<bool>());
            Assert.True(scales is null || storage.Scales!.narrow(0, 0, kept).eq(scales.narrow(0, 0, kept)).all().item<bool>());
            Assert.True(storage.Landmarks.narrow(1, 0, kept).eq(landmarks.narrow(1, 0, kept)).all().item<bool>());
            var filled = Math.Min(capacity, 40);
            storage.Blocks.narrow(0, 0, filled).copy_(blocks.narrow(0, 0, filled));
            storage.Scales?.narrow(0, 0, filled).copy_(scales!.narrow(0, 0, filled));
            storage.Landmarks.narrow(1, 0, filled).copy_(landmarks.narrow(1, 0, filled));
        }
    }

    /// <summary>What is mapped is read as it lies in the file, stays that when all moves, and a write changes a copy.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void TheFirstBlocksMayBeAFiles(ScalarType type)
    {
        LibTorch.Load();
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var shape = new BlockShape(Groups: 2, Tokens: 3, Width: 6, ScalarType.Float32, type);
        var (numbers, factors, keys) = (
            randn(shape.Blocks(7)).mul(50).to(type), type == ScalarType.Int8 ? rand(shape.Scales(7)) : null, randn(shape.Landmarks(7)));
        var (pages, random) = (new BlockPages(2, 3, 6, type), new Random(1));
        Assert.Equal(4096, pages.Bytes);
        // Two runs of blocks, 4 and 3, and landmark keys in between; the rest is anything.
        var bytes = new byte[10 * 4096];
        random.NextBytes(bytes);
        for (var b = 0; b < 7; b++)
        {
            var at = ((b < 4 ? 0 : 3) + b) * 4096;
            numbers[b].contiguous().bytes.CopyTo(bytes.AsSpan(at));
            factors?[b].contiguous().bytes.CopyTo(bytes.AsSpan(at + (int)pages.ScalesAt));
        }
        for (var g = 0; g < 2; g++) keys[g].contiguous().bytes.CopyTo(bytes.AsSpan((4 + g) * 4096));
        using var file = File.OpenHandle(folder.Write("a", bytes));

        using var storage = new HostStorage(shape, addresses: 1);
        Assert.Throws<LandmarkException>(() => storage.Map(0, file, 0, 4));
        storage.Grow(7, 0);
        Assert.Throws<LandmarkException>(() => storage.Map(4, file, 7 * 4096, 3));
        storage.Map(0, file, 0, 4);
        storage.Map(4, file, 7 * 4096, 3);
        storage.MapLandmarks(file, 4 * 4096, 7);
        Assert.Throws<LandmarkException>(() => storage.MapLandmarks(file, 4 * 4096, 7));
        foreach (var capacity in (long[])[9, 50, 1000])
        {
            storage.Grow(capacity, 7 + (capacity > 9 ? 2 : 0));
            Assert.True(storage.Blocks.narrow(0, 0, 7).eq(numbers).all().item<bool>());
            Assert.True(factors is null || storage.Scales!.narrow(0, 0, 7).eq(factors).all().item<bool>());
            Assert.True(storage.Landmarks.narrow(1, 0, 7).eq(keys).all().item<bool>());
            if (capacity == 9) storage.Blocks.narrow(0, 7, 2).fill_(5);
            storage.Landmarks.narrow(1, 7, 2).fill_(7);
            Assert.True(storage.Blocks.narrow(0, 7, 2).eq(5).all().item<bool>());
        }
        Assert.Equal(bytes, File.ReadAllBytes(folder["a"]));
    }

    /// <summary>Places may be left for a file's blocks: they are there when they are mapped, in any order, and until they are not any more.</summary>
    [Fact]
    public void WhatIsLeftForAFileIsMappedWhenItIsRead()
    {
        LibTorch.Load();
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var shape = new BlockShape(Groups: 2, Tokens: 3, Width: 6, ScalarType.Float32, ScalarType.Float32);
        var (numbers, bytes) = (randn(shape.Blocks(6)), new byte[6 * 4096]);
        for (var b = 0; b < 6; b++) numbers[b].contiguous().bytes.CopyTo(bytes.AsSpan(b * 4096));
        using var file = File.OpenHandle(folder.Write("a", bytes));
        using var storage = new HostStorage(shape);
        bool IsThere(int first, int count) => storage.Blocks.narrow(0, first, count).eq(numbers.narrow(0, first, count)).all().item<bool>();
        storage.Grow(8, 0);
        storage.Leave(6);
        storage.Blocks.narrow(0, 6, 2).fill_(5);
        storage.Map(4, file, 4 * 4096, 2);
        storage.Map(1, file, 4096, 1);
        foreach (var (first, count) in ((long, long)[])[(5, 2), (-1, 2), (7, 1), (0, 0)])
            Assert.Throws<LandmarkException>(() => storage.Map(first, file, 0, count));
        Assert.Equal((false, true, false, true), (IsThere(0, 1), IsThere(1, 1), IsThere(2, 2), IsThere(4, 2)));
        storage.Unmap();
        Assert.Equal(6, storage.Mapped);
        Assert.True(storage.Blocks.narrow(0, 0, 6).eq(0).all().item<bool>());
        storage.Map(0, file, 0, 6);
        Assert.True(IsThere(0, 6));
        Assert.True(storage.Blocks.narrow(0, 6, 2).eq(5).all().item<bool>());
        Assert.Equal(bytes, File.ReadAllBytes(folder["a"]));
    }

    [Fact]
    public void AddressesTakeAFilesPagesAndGiveThemBack()
    {
        using var folder = new TemporaryFolder();
        var bytes = new byte[3 * 4096];
        new Random(2).NextBytes(bytes);
        using var file = File.OpenHandle(folder.Write("a", bytes));
        using var range = AddressRange.Reserve(4 * 4096);
        Span<byte> Bytes(int page) => Here(range.Address + (page * 4096), 4096);
        Bytes(3)[0] = 7;
        range.Map(file, 4096, 4096, 2 * 4096);
        Assert.True(Bytes(1).SequenceEqual(bytes.AsSpan(4096, 4096)));
        range.Release(4096, 4096);
        Assert.True(Bytes(1).SequenceEqual(bytes.AsSpan(4096, 4096)));
        Assert.True(Bytes(2).SequenceEqual(bytes.AsSpan(8192, 4096)));
        Assert.Equal(7, Bytes(3)[0]);
        foreach (var (at, count) in ((long, long)[])[(1, 4096), (4096, 1), (4 * 4096, 4096), (-4096, 4096), (0, 5 * 4096), (0, 0)])
            Assert.Throws<LandmarkException>(() => range.Map(file, 0, at, count));
        Assert.Equal(bytes, File.ReadAllBytes(folder["a"]));
    }

    private static unsafe Span<byte> Here(nint address, int bytes) => new((void*)address, bytes);
}
