using System.Collections;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Memory.Files;

/// <summary>Writes a segment, in pieces and in any order; all of it must have been written in the end.</summary>
public sealed class SegmentWriter
{
    private readonly SafeFileHandle file;
    private readonly long offset;
    private readonly SegmentText text;
    private readonly MemoryModel model;
    private readonly SegmentLayout layout;
    private readonly ulong[] hashes;
    private readonly BitArray written;

    internal SegmentWriter(SafeFileHandle file, long offset, MemoryHeader header, SegmentText text, int blocks)
    {
        (this.file, this.offset, this.text, model, Blocks) = (file, offset, text, header.Model, blocks);
        layout = new SegmentLayout(header, Blocks, text.Tokens.Length, text.Text.Length);
        (hashes, written) = (new ulong[layout.Hashes], new BitArray(layout.Hashes));
    }

    /// <summary>The blocks that it has.</summary>
    public int Blocks { get; }

    /// <summary>Where the pages of a block and of those after it lie, for whoever maps what has been written.</summary>
    internal (SafeFileHandle File, long Offset) Place(int layer, int block) => (file, offset + layout.PagesAt(layer, block));

    internal long End => offset + layout.Length;

    /// <summary>Writes keys and values of consecutive blocks.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="first">The first block, within the segment.</param>
    /// <param name="numbers">[blocks, G, K|V, ℓ, d], in the file's type.</param>
    /// <param name="scales">[blocks, G, K|V, ℓ] for int8, else nothing.</param>
    /// <exception cref="LandmarkException">They are not whole blocks of this segment.</exception>
    public void WriteBlocks(int layer, int first, ReadOnlySpan<byte> numbers, ReadOnlySpan<float> scales)
    {
        var heads = numbers.Length / layout.HeadBytes;
        var (blocks, part) = Math.DivRem(heads, model.Heads);
        if (part != 0 || numbers.Length != heads * layout.HeadBytes || scales.Length != heads * layout.HeadScales)
            throw new LandmarkException(
                $"{numbers.Length} bytes and {scales.Length} scales are no whole blocks, which have {model.Heads * layout.HeadBytes} bytes "
                + $"and {model.Heads * layout.HeadScales} scales each; give whole ones.");
        if (layer < 0 || layer >= model.Layers || first < 0 || first > Blocks - blocks)
            throw new LandmarkException(
                $"There are no {blocks} blocks from block {first} on in layer {layer} of a segment of {Blocks} blocks and {model.Layers} layers; "
                + "write those that it has.");
        for (var i = 0; i < blocks; i++)
        {
            var (bytes, count) = (model.Heads * layout.HeadBytes, model.Heads * layout.HeadScales);
            RandomAccess.Write(file, numbers.Slice(i * bytes, bytes), offset + layout.NumbersAt(layer, first + i, 0));
            if (count > 0) RandomAccess.Write(file, MemoryMarshal.AsBytes(scales.Slice(i * count, count)), offset + layout.ScalesAt(layer, first + i, 0));
        }
        for (var i = 0; i < heads; i++)
            Note(layout.HashOfHead(layer, first, i), SegmentLayout.HashOf(
                numbers.Slice(i * layout.HeadBytes, layout.HeadBytes), scales.Slice(i * layout.HeadScales, layout.HeadScales)));
    }

    /// <summary>Writes a layer's landmark keys.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="keys">[G, blocks, d].</param>
    /// <exception cref="LandmarkException">They are not those of all blocks.</exception>
    public void WriteLandmarks(int layer, ReadOnlySpan<float> keys)
    {
        if (layer < 0 || layer >= model.Layers || keys.Length != model.Heads * layout.LandmarkFloats)
            throw new LandmarkException(
                $"Layer {layer} was given {keys.Length} numbers of landmark keys, and each of {model.Layers} layers has "
                + $"{model.Heads * layout.LandmarkFloats}; write those of all blocks at once.");
        RandomAccess.Write(file, MemoryMarshal.AsBytes(keys), offset + layout.LandmarksAt(layer, 0));
        for (var head = 0; head < model.Heads; head++)
            Note(layout.HashOfLandmarks(layer, head), XxHash3.HashToUInt64(
                MemoryMarshal.AsBytes(keys.Slice(head * layout.LandmarkFloats, layout.LandmarkFloats))));
    }

    internal MemorySegment Finish()
    {
        RandomAccess.Write(file, MemoryMarshal.AsBytes<int>(text.Tokens), offset + layout.TokensAt);
        RandomAccess.Write(file, MemoryMarshal.AsBytes<int>(text.Starts), offset + layout.StartsAt);
        RandomAccess.Write(file, text.Text, offset + layout.TextAt);
        Note(layout.HashOfTokens, text.HashOfTokens);
        Note(layout.HashOfText, XxHash3.HashToUInt64(text.Text));
        // A tail has no landmark keys to write, and hashes of nothing.
        for (var i = 0; Blocks == 0 && i < layout.HashOfTokens; i++) Note(i, XxHash3.HashToUInt64([]));
        if (!written.HasAllSet())
            throw new LandmarkException(
                $"Of a segment of {Blocks} blocks not everything was written; write keys and values of all blocks, and the landmark keys, in each layer.");
        var bytes = MemoryMarshal.AsBytes<ulong>(hashes);
        RandomAccess.Write(file, bytes, offset);
        return new MemorySegment(offset, Blocks, text.Tokens.Length, text.Text.Length, XxHash3.HashToUInt64(bytes));
    }

    private void Note(int index, ulong hash)
    {
        hashes[index] = hash;
        written[index] = true;
    }
}
