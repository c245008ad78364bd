using System.IO.Hashing;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// Where the parts of a segment lie, in bytes from its beginning, each at a multiple of 64: hashes, landmark keys, tokens, where
/// each token starts, text; and from the next page on each layer of each block in pages of its own, <see cref="BlockPages"/>.
/// </summary>
internal sealed class SegmentLayout
{
    private const int PartAlignment = 64;

    private readonly int blocks, tokens, textBytes;
    private readonly long landmarks, pages;
    private readonly BlockPages block;

    /// <summary>Lays out a segment.</summary>
    /// <param name="header">The file's.</param>
    /// <param name="blocks">Complete blocks.</param>
    /// <param name="tokens">Regular tokens.</param>
    /// <param name="textBytes">Bytes of text.</param>
    /// <exception cref="OverflowException">There is no such segment.</exception>
    public SegmentLayout(MemoryHeader header, int blocks, int tokens, int textBytes)
    {
        var model = header.Model;
        (Layers, Heads, this.blocks, this.tokens, this.textBytes) = (model.Layers, model.Heads, blocks, tokens, textBytes);
        checked
        {
            block = new BlockPages(Heads, model.BlockTokens, model.HeadDim, header.Type);
            (HeadBytes, HeadScales) = ((int)block.HeadBytes, (int)(block.HeadScaleBytes / sizeof(float)));
            LandmarkFloats = blocks * model.HeadDim;
            Hashes = (Layers * Heads * (blocks + 1)) + 2;
            landmarks = Align((long)Hashes * sizeof(ulong), PartAlignment);
            TokensAt = Align(landmarks + ((long)Layers * Heads * LandmarkFloats * sizeof(float)), PartAlignment);
            StartsAt = Align(TokensAt + ((long)tokens * sizeof(int)), PartAlignment);
            TextAt = Align(StartsAt + ((long)tokens * sizeof(int)), PartAlignment);
            pages = BlockPages.Padded(TextAt + textBytes);
            Length = pages + ((long)Layers * blocks * block.Bytes);
        }
    }

    /// <summary>The model's layers.</summary>
    public int Layers { get; }

    /// <summary>The model's key-value heads, G.</summary>
    public int Heads { get; }

    /// <summary>Bytes of a head's keys and values of a block, [K|V][ℓ][d].</summary>
    public int HeadBytes { get; }

    /// <summary>Scales of a head of a block, [K|V][ℓ]; 0 where there are none.</summary>
    public int HeadScales { get; }

    /// <summary>Floats of a head's landmark keys, [block][d].</summary>
    public int LandmarkFloats { get; }

    /// <summary>Hashes: of keys and values [layer][block][G], of landmark keys [layer][G], of tokens with their starts, of the text.</summary>
    public int Hashes { get; }

    /// <summary>Where tokens are, int32.</summary>
    public long TokensAt { get; }

    /// <summary>Where it is said at which byte each token starts, int32.</summary>
    public long StartsAt { get; }

    /// <summary>Where the text is.</summary>
    public long TextAt { get; }

    /// <summary>All of it, in whole pages.</summary>
    public long Length { get; }

    /// <summary>Bytes by what they hold.</summary>
    public MemoryBytes Bytes => new(
        (long)Layers * blocks * block.Bytes, (long)Layers * Heads * LandmarkFloats * sizeof(float), 2L * tokens * sizeof(int), textBytes,
        (long)Hashes * sizeof(ulong));

    /// <summary>The next multiple.</summary>
    public static long Align(long offset, int multiple) => checked(offset + multiple - 1) / multiple * multiple;

    /// <summary>Where landmark keys [layer][G][block][d] of a head begin, float32.</summary>
    public long LandmarksAt(int layer, int head) => landmarks + ((((long)layer * Heads) + head) * LandmarkFloats * sizeof(float));

    /// <summary>Where the pages [layer][block] of a block begin; the next blocks' follow.</summary>
    public long PagesAt(int layer, int block) => pages + ((((long)layer * blocks) + block) * this.block.Bytes);

    /// <summary>Where keys and values [K|V][ℓ][d] of a head of a block begin; the block's other heads' follow.</summary>
    public long NumbersAt(int layer, int block, int head) => PagesAt(layer, block) + ((long)head * HeadBytes);

    /// <summary>Where the scales [K|V][ℓ] of a head of a block begin, float32; the block's other heads' follow.</summary>
    public long ScalesAt(int layer, int block, int head) =>
        PagesAt(layer, block) + this.block.ScalesAt + ((long)head * HeadScales * sizeof(float));

    /// <summary>Which hash is that of a head of a block; the next heads' and blocks' follow.</summary>
    public int HashOfHead(int layer, int block, int head) => (int)Index(layer, block, head);

    /// <summary>Which hash is that of a head's landmark keys.</summary>
    public int HashOfLandmarks(int layer, int head) => (int)Index(Layers, 0, 0) + (layer * Heads) + head;

    /// <summary>Which hash is that of tokens and their starts.</summary>
    public int HashOfTokens => Hashes - 2;

    /// <summary>Which hash is that of the text.</summary>
    public int HashOfText => Hashes - 1;

    /// <summary>The hash of a head's keys and values of a block: of their scales, begun with that of the numbers.</summary>
    public static ulong HashOf(ReadOnlySpan<byte> numbers, ReadOnlySpan<float> scales)
    {
        var hash = XxHash3.HashToUInt64(numbers);
        return scales.IsEmpty ? hash : XxHash3.HashToUInt64(MemoryMarshal.AsBytes(scales), (long)hash);
    }

    private long Index(int layer, int block, int head) => (((((long)layer * blocks) + block) * Heads) + head);
}
