using System.Runtime.InteropServices;
using System.Text;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>A document as a memory file holds it, beside what a memory that read its tokens at once holds.</summary>
internal static class MadeMemory
{
    /// <summary>Blocks of four tokens and windows of two: a pass takes 76 blocks.</summary>
    public static ModelConfig Config { get; } = TinyModel.Config(blockTokens: 4);

    /// <summary>Letters that are no pattern.</summary>
    public static string Text(int letters, int seed = 1)
    {
        var random = new Random(seed);
        return string.Create(letters, random, (span, r) =>
        {
            foreach (ref var c in span) c = "abcdefghijklmnopqrstuvwxyz .0123456789"[r.Next(38)];
        });
    }

    /// <summary>A text of whole blocks, the mark counted.</summary>
    public static string Blocks(LandmarkEngine engine, int blocks, int seed)
    {
        var tokens = blocks * engine.Config.Landmark!.BlockTokens;
        var text = Text(tokens, seed);
        return text[..(text.Length - (engine.Tokenizer.Encode(text, addSpecial: true).Length - tokens))];
    }

    /// <summary>Makes a file of some documents.</summary>
    /// <param name="path">The file.</param>
    /// <param name="reading">The model, and how it reads.</param>
    /// <param name="type">Type of the blocks.</param>
    /// <param name="documents">The documents.</param>
    /// <param name="commitEvery">How often it is committed; as makers do it when not given.</param>
    public static string Make(
        string path, LandmarkEngine reading, ScalarType type, IEnumerable<(string Name, string Text)> documents, TimeSpan? commitEvery = null)
    {
        using var writer = MemoryFileWriter.Create(path, reading.MemoryModel(), type);
        var maker = commitEvery is { } time ? new MemoryMaker(reading, writer) { CommitEvery = time } : new MemoryMaker(reading, writer);
        foreach (var (document, text) in documents) maker.Add(document, new StringReader(text));
        writer.Commit();
        return path;
    }

    /// <summary>Checks all of a document: tokens, text, keys, values, landmark keys; the file's to the last bit.</summary>
    public static void Same(LandmarkEngine engine, MemoryFile file, string name, string text)
    {
        var entry = file.Documents.Single(d => d.Name == name);
        var parts = entry.Segments.Select(file.ReadText).ToArray();
        int[] tokens = [.. parts.SelectMany(p => p.Tokens)];
        Assert.True(entry.Complete);
        Assert.Equal(engine.Tokenizer.Encode(text, addSpecial: true), tokens);
        Assert.Equal(text, Encoding.UTF8.GetString([.. parts.SelectMany(p => p.Text)]));
        var length = file.Model.BlockTokens;
        var blocks = (tokens.Length + length - 1) / length;
        int[] filled = [.. tokens, .. Enumerable.Repeat(tokens[^1], (blocks * length) - tokens.Length)];

        using var scope = NewDisposeScope();
        using var memory = TinyModel.Memory(engine.Decoder, engine.Retrieval! with { BlockType = file.Type });
        TinyModel.Run(engine.Decoder, memory, TinyModel.WithLandmarks(engine.Config, filled), int.MaxValue);
        Assert.Equal(blocks, entry.Blocks);
        for (var (first, s) = (0, 0); s < entry.Segments.Count; first += entry.Segments[s++].Blocks)
            for (var layer = 0; layer < file.Model.Layers; layer++)
                Same(memory.Layers[layer]!, first, file, entry.Segments[s], layer);
    }

    private static void Same(LayerBlocks held, int first, MemoryFile file, MemorySegment segment, int layer)
    {
        var keys = new float[file.Model.Heads * segment.Blocks * file.Model.HeadDim];
        file.ReadLandmarks(layer, [segment], keys);
        using var scope = NewDisposeScope();
        Assert.Equal(Bytes(held.Landmarks.narrow(1, first, segment.Blocks)), MemoryMarshal.AsBytes<float>(keys).ToArray());
        var scales = held.Scales?.narrow(0, first, segment.Blocks);
        var numbers = Bytes(held.Blocks.narrow(0, first, segment.Blocks));
        var (read, factors) = (new byte[numbers.Length], new float[scales?.numel() ?? 0]);
        file.ReadBlocks(segment, layer, 0, read, factors);
        Assert.Equal(numbers, read);
        Assert.Equal(scales is null ? [] : Bytes(scales), MemoryMarshal.AsBytes<float>(factors).ToArray());
    }

    private static unsafe byte[] Bytes(Tensor rows)
    {
        using var whole = rows.contiguous();
        return new ReadOnlySpan<byte>((void*)Aten.DataPointer(whole), checked((int)(whole.numel() * whole.element_size()))).ToArray();
    }
}
