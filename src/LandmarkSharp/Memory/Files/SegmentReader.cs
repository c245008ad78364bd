using System.Buffers;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Memory.Files;

/// <summary>Reads a segment; whatever comes from the file is compared with its hash. For any number of threads.</summary>
/// <param name="file">The file.</param>
/// <param name="segment">The segment.</param>
/// <param name="layout">Where its parts are.</param>
/// <param name="owner">The document or session that it belongs to.</param>
/// <param name="firstBlock">Blocks of the owner before it.</param>
internal sealed class SegmentReader(StoredFile file, MemorySegment segment, SegmentLayout layout, string owner, long firstBlock) : IDisposable
{
    // Null where they are damaged. Whoever comes first reads them; a failure of the disk is not kept.
    private readonly Lazy<ulong[]?> hashes = new(() => ReadHashes(file, segment, layout), LazyThreadSafetyMode.PublicationOnly);
    private readonly Lazy<MappedFile> mapping = new(() => Map(file, segment, layout), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>The segment.</summary>
    public MemorySegment Segment => segment;

    /// <summary>Where its parts are.</summary>
    public SegmentLayout Layout => layout;

    /// <summary>Reads keys and values of heads that follow each other, through blocks.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="block">The block of the first, within the segment.</param>
    /// <param name="head">The first's head.</param>
    /// <param name="heads">How many.</param>
    /// <param name="numbers">[heads, 2, ℓ, d].</param>
    /// <param name="scales">[heads, 2, ℓ]; nothing where there are none.</param>
    /// <exception cref="LandmarkException">They are damaged, or the disk refuses.</exception>
    public void ReadHeads(int layer, int block, int head, int heads, Span<byte> numbers, Span<float> scales)
    {
        Fill(layer, block, head, numbers, scales);
        Require(DamagedHead(layer, block, head, heads, numbers, scales));
    }

    /// <summary>The same of one block's heads, where the system has them.</summary>
    /// <inheritdoc cref="ReadHeads"/>
    public MappedRows MapHeads(int layer, int block, int head, int heads)
    {
        var numbers = mapping.Value.Bytes(layout.NumbersAt(layer, block, head), heads * layout.HeadBytes);
        var scales = MemoryMarshal.Cast<byte, float>(
            mapping.Value.Bytes(layout.ScalesAt(layer, block, head), heads * layout.HeadScales * sizeof(float)));
        Require(DamagedHead(layer, block, head, heads, numbers, scales));
        return new MappedRows(numbers, scales);
    }

    /// <summary>Reads keys and values of a head of a block, and throws where they are damaged.</summary>
    /// <exception cref="LandmarkException">They are damaged, or the disk refuses.</exception>
    public void CheckHead(int layer, int block, int head)
    {
        var (bytes, floats) = (ArrayPool<byte>.Shared.Rent(layout.HeadBytes), ArrayPool<float>.Shared.Rent(layout.HeadScales));
        try
        {
            ReadHeads(layer, block, head, 1, bytes.AsSpan(0, layout.HeadBytes), floats.AsSpan(0, layout.HeadScales));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            ArrayPool<float>.Shared.Return(floats);
        }
    }

    /// <summary>Reads a head's landmark keys.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="head">The head.</param>
    /// <param name="keys">[blocks, d].</param>
    /// <exception cref="LandmarkException">They are damaged, or the disk refuses.</exception>
    public void ReadLandmarks(int layer, int head, Span<float> keys) => Require(FillLandmarks(layer, head, keys));

    /// <summary>Reads tokens and text.</summary>
    /// <exception cref="LandmarkException">They are damaged, or the disk refuses.</exception>
    public SegmentText ReadText()
    {
        var (text, damaged) = TextAndDamage();
        Require(damaged);
        return text;
    }

    /// <summary>Reads all of it.</summary>
    /// <param name="cancel">Stops between blocks.</param>
    /// <returns>What is damaged.</returns>
    public IEnumerable<MemoryDamage> Check(CancellationToken cancel)
    {
        var keys = new float[layout.LandmarkFloats];
        var (numbers, scales) = (new byte[layout.Heads * layout.HeadBytes], new float[layout.Heads * layout.HeadScales]);
        IEnumerable<Func<string?>> Parts()
        {
            yield return () => hashes.Value is null ? Part("the hashes") : null;
            if (hashes is { IsValueCreated: true, Value: null }) yield break;
            yield return () => TextAndDamage().Damaged;
            for (var l = 0; l < layout.Layers; l++)
            {
                var layer = l;
                for (var h = 0; h < layout.Heads; h++)
                {
                    var head = h;
                    yield return () => FillLandmarks(layer, head, keys);
                }
                for (var b = 0; b < segment.Blocks; b++)
                {
                    var block = b;
                    yield return () =>
                    {
                        Fill(layer, block, 0, numbers, scales);
                        return DamagedHead(layer, block, 0, layout.Heads, numbers, scales);
                    };
                }
            }
        }
        return Parts().Select(part =>
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                return part();
            }
            catch (LandmarkException e)
            {
                return e.Message;                   // of the disk
            }
        }).OfType<string>().Distinct().Select(part => new MemoryDamage(owner, part));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (mapping.IsValueCreated) mapping.Value.Dispose();
    }

    private static ulong[]? ReadHashes(StoredFile file, MemorySegment segment, SegmentLayout layout)
    {
        var hashes = new ulong[layout.Hashes];
        var bytes = MemoryMarshal.AsBytes(hashes.AsSpan());
        file.Read(bytes, segment.Offset);
        return XxHash3.HashToUInt64(bytes) == segment.Check ? hashes : null;
    }

    private static MappedFile Map(StoredFile file, MemorySegment segment, SegmentLayout layout)
    {
        try
        {
            return MappedFile.Open(file.Handle, layout.Length, segment.Offset);
        }
        catch (IOException e)
        {
            throw new LandmarkException($"{file.Path} cannot be mapped into memory: {e.Message.TrimEnd('.')}; read its blocks into buffers instead.", e);
        }
    }

    private void Fill(int layer, int block, int head, Span<byte> numbers, Span<float> scales)
    {
        var heads = numbers.Length / layout.HeadBytes;
        for (int i = 0, count; i < heads; i += count)                                       // those of a block lie together
        {
            var (after, from) = Math.DivRem(head + i, layout.Heads);
            count = Math.Min(layout.Heads - from, heads - i);
            file.Read(numbers.Slice(i * layout.HeadBytes, count * layout.HeadBytes), segment.Offset + layout.NumbersAt(layer, block + after, from));
            if (layout.HeadScales > 0)
                file.Read(
                    MemoryMarshal.AsBytes(scales.Slice(i * layout.HeadScales, count * layout.HeadScales)),
                    segment.Offset + layout.ScalesAt(layer, block + after, from));
        }
    }

    private string? FillLandmarks(int layer, int head, Span<float> keys)
    {
        var bytes = MemoryMarshal.AsBytes(keys);
        file.Read(bytes, segment.Offset + layout.LandmarksAt(layer, head));
        return IsWhole(layout.HashOfLandmarks(layer, head), XxHash3.HashToUInt64(bytes)) ? null : Part($"the landmark keys, in layer {layer},");
    }

    private string? DamagedHead(int layer, int block, int head, int heads, ReadOnlySpan<byte> numbers, ReadOnlySpan<float> scales)
    {
        var first = layout.HashOfHead(layer, block, head);
        for (var i = 0; i < heads; i++)
        {
            var hash = SegmentLayout.HashOf(
                numbers.Slice(i * layout.HeadBytes, layout.HeadBytes), scales.Slice(i * layout.HeadScales, layout.HeadScales));
            if (!IsWhole(first + i, hash)) return $"keys and values, in layer {layer}, of block {firstBlock + block + ((head + i) / layout.Heads)}";
        }
        return null;
    }

    private (SegmentText Text, string? Damaged) TextAndDamage()
    {
        var text = new SegmentText(new int[segment.Tokens], new int[segment.Tokens], new byte[segment.Bytes]);
        file.Read(MemoryMarshal.AsBytes(text.Tokens.AsSpan()), segment.Offset + layout.TokensAt);
        file.Read(MemoryMarshal.AsBytes(text.Starts.AsSpan()), segment.Offset + layout.StartsAt);
        file.Read(text.Text, segment.Offset + layout.TextAt);
        return (text, !IsWhole(layout.HashOfTokens, text.HashOfTokens) ? Part("the tokens")
            : !IsWhole(layout.HashOfText, XxHash3.HashToUInt64(text.Text)) ? Part("the text") : null);
    }

    private bool IsWhole(int hash, ulong found) => hashes.Value is { } known && known[hash] == found;

    private string Part(string what) =>
        $"{what} of " + (segment.Blocks > 0 ? $"blocks {firstBlock} to {firstBlock + segment.Blocks - 1}" : "the tail");

    private void Require(string? damaged)
    {
        // Without hashes nothing can be compared.
        if (damaged is not null)
            throw new LandmarkException(
                $"{file.Path} is damaged in {new MemoryDamage(owner, hashes.Value is null ? Part("the hashes") : damaged)}; "
                + "add that again, or restore the file from a copy.");
    }
}
