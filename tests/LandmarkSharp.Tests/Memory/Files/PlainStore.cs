using System.Runtime.InteropServices;
using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>What a memory file should hold, in plain lists; a piece is the number that it is made up from.</summary>
internal sealed class PlainStore(MemoryModel model, ScalarType type)
{
    public List<Entry> Documents { get; private init; } = [];

    public List<Entry> Sessions { get; private init; } = [];

    public MemoryModel Model => model;

    public PlainPiece Piece(int seed) => new(model, type, seed);

    public PlainStore Copy() => new(model, type) { Documents = [.. Documents], Sessions = [.. Sessions] };

    /// <summary>Reads all of a file in every way there is, and compares.</summary>
    public void Same(MemoryFile file)
    {
        Same(Documents, file.Documents, file);
        Same(Sessions, file.Sessions, file);
        var pieces = Documents.Concat(Sessions).SelectMany(e => e.All).Select(Piece).ToArray();
        MemorySegment[] segments = [.. file.Documents.Concat(file.Sessions).SelectMany(e => e.Segments.Concat(e.Next?.Segments ?? []))];
        SameLandmarks(file, segments, pieces);
        foreach (var (segment, piece) in segments.Zip(pieces))
        {
            var text = file.ReadText(segment);
            Assert.Equal(piece.Text.Tokens, text.Tokens);
            Assert.Equal(piece.Text.Starts, text.Starts);
            Assert.Equal(piece.Text.Text, text.Text);
            for (var layer = 0; layer < model.Layers; layer++) SameBlocks(file, segment, piece, layer);
        }
    }

    private void Same(IReadOnlyList<Entry> expected, IReadOnlyList<MemoryEntry> found, MemoryFile file)
    {
        Assert.Equal(expected.Select(e => (e.Name, e.Complete, e.From)), found.Select(e => (e.Name, e.Complete, e.From)));
        foreach (var (plain, entry) in expected.Zip(found))
        {
            var pieces = plain.Pieces.Select(Piece).ToArray();
            Assert.Equal(pieces.Select(p => (p.Blocks, p.Text.Tokens.Length, p.Text.Text.Length)), entry.Segments.Select(s => (s.Blocks, s.Tokens, s.Bytes)));
            Assert.Equal((pieces.Sum(p => p.Blocks), pieces.Sum(p => p.Text.Text.Length)), (entry.Blocks, entry.Bytes));
            Same(plain.Next is { } next ? [next] : [], entry.Next is { } after ? [after] : [], file);
        }
        Assert.True(file.UsedBytes <= file.Bytes);
    }

    private void SameLandmarks(MemoryFile file, MemorySegment[] segments, PlainPiece[] pieces)
    {
        const int more = 2;
        var rows = pieces.Sum(p => p.Blocks);
        for (var layer = 0; layer < model.Layers; layer++)
        {
            var keys = new float[model.Heads * (rows + more) * model.HeadDim];
            file.ReadLandmarks(layer, segments, keys);
            var expected = new List<float>();
            for (var head = 0; head < model.Heads; head++)
            {
                foreach (var piece in pieces)
                    expected.AddRange(piece.Landmarks(layer).Slice(head * piece.Blocks * model.HeadDim, piece.Blocks * model.HeadDim));
                expected.AddRange(new float[more * model.HeadDim]);
            }
            Equal<float>(CollectionsMarshal.AsSpan(expected), keys);
        }
    }

    private void SameBlocks(MemoryFile file, MemorySegment segment, PlainPiece piece, int layer)
    {
        var (numbers, scales) = (new byte[piece.Numbers(layer).Length], new float[piece.Scales(layer).Length]);
        file.ReadBlocks(segment, layer, 0, numbers, scales);
        Equal(piece.Numbers(layer), numbers);
        Equal(piece.Scales(layer), scales);
        for (var i = 0; i < piece.Blocks * model.Heads; i++)
        {
            var (block, head) = Math.DivRem(i, model.Heads);
            var (size, count) = (piece.HeadNumbers, piece.HeadScales);
            var (one, oneScales) = (new byte[size], new float[count]);
            file.ReadHead(segment, layer, block, head, one, oneScales);
            Equal(piece.Numbers(layer).Slice(i * size, size), one);
            Equal(piece.Scales(layer).Slice(i * count, count), oneScales);
            var mapped = file.MapHead(segment, layer, block, head);
            Equal(one, mapped.Numbers);
            Equal(oneScales, mapped.Scales);
            if (head != 0) continue;
            var whole = file.MapBlock(segment, layer, block);
            Equal(piece.Numbers(layer).Slice(i * size, model.Heads * size), whole.Numbers);
            Equal(piece.Scales(layer).Slice(i * count, model.Heads * count), whole.Scales);
        }
    }

    // Numbers are made of any bits: by bytes, for not all equal themselves.
    private static void Equal<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> found)
        where T : unmanaged =>
        Assert.True(MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(found)));

    /// <summary>A document or session.</summary>
    public sealed record Entry(string Name, bool Complete, string? From, int[] Pieces)
    {
        /// <summary>What takes its place when it is complete.</summary>
        public Entry? Next { get; init; }

        /// <summary>Its pieces, and those of what takes its place.</summary>
        public IEnumerable<int> All => [.. Pieces, .. Next?.Pieces ?? []];
    }
}
