using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// One layer's blocks. Keys stand at block-local phase, so a block can be placed anywhere by turning the query; a
/// landmark's value is never read and not kept, and landmark keys lie apart, since they are scanned for every token.
/// </summary>
/// <param name="groups">Key-value heads, G.</param>
/// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
/// <param name="headDim">Width of a head, d.</param>
/// <param name="type">Type of the model.</param>
/// <param name="blockType">Type of keys and values, as <see cref="BlockType"/> allows.</param>
/// <param name="device">Where the model is.</param>
/// <param name="onHost">Whether keys and values lie in this machine's memory wherever the model is, <see cref="RetrievalOptions.HostBlocks"/>.</param>
internal sealed class LayerBlocks(
    long groups, long blockTokens, long headDim, ScalarType type, ScalarType blockType, Device device, bool onHost = false) : IDisposable
{
    private const int FirstBlocks = 8;

    private readonly BlockStorage storage = BlockStorage.On(device, new BlockShape(groups, blockTokens, headDim, type, blockType), onHost);

    /// <summary>[capacity, G, 2, ℓ, d]: keys and values; one head of a block is one contiguous read.</summary>
    public Tensor Blocks => storage.Blocks;

    /// <summary>[capacity, G, 2, ℓ] float32: what each row of int8 blocks is multiplied by; null for other types.</summary>
    public Tensor? Scales => storage.Scales;

    /// <summary>[G, capacity, d]: landmark keys, at offset ℓ.</summary>
    public Tensor Landmarks => storage.Landmarks;

    /// <summary>Key-value heads, G.</summary>
    public long Groups => groups;

    /// <summary>Type of the model, and of the keys and values that are written.</summary>
    public ScalarType Type => type;

    /// <summary>Bytes that the blocks there is room for take, whatever lies between them; those that are a file's take none.</summary>
    public long Bytes =>
        ((Capacity - Mapped) * groups * 2 * blockTokens * BlockType.RowBytes(blockType, headDim))
        + ((Capacity - ((storage as HostStorage)?.MappedLandmarks ?? 0)) * groups * headDim * Landmarks.element_size());

    /// <inheritdoc cref="HostStorage.Mapped"/>
    public long Mapped => (storage as HostStorage)?.Mapped ?? 0;

    /// <summary>Blocks that fit without growing.</summary>
    public long Capacity => Blocks.shape[0];

    /// <summary>The keys and values of a block, [G, 2, ℓ, d], where they lie on the CPU; until the next <see cref="Grow"/>.</summary>
    public Span<byte> Numbers(long block) => Piece(Blocks, block);

    /// <summary>The scales of a block, [G, 2, ℓ], where they lie on the CPU; nothing where there are none.</summary>
    public Span<float> Factors(long block) => Scales is { } scales ? MemoryMarshal.Cast<byte, float>(Piece(scales, block)) : [];

    /// <summary>Grows to hold so many blocks, of which the first <paramref name="used"/> are kept.</summary>
    public void Grow(long capacity, long used)
    {
        if (capacity > Capacity) storage.Grow(Math.Max(capacity, Math.Max(FirstBlocks, Capacity * 3 / 2)), used);
    }

    /// <inheritdoc cref="HostStorage.Map"/>
    public void Map(long first, SafeFileHandle file, long offset, long count) => Host.Map(first, file, offset, count);

    /// <inheritdoc cref="HostStorage.Leave"/>
    public void Leave(long count) => Host.Leave(count);

    /// <inheritdoc cref="HostStorage.Unmap"/>
    public void Unmap() => Host.Unmap();

    /// <inheritdoc cref="HostStorage.MapLandmarks(SafeFileHandle, long, long)"/>
    public void MapLandmarks(SafeFileHandle file, long offset, long count) => Host.MapLandmarks(file, offset, count);

    /// <inheritdoc cref="HostStorage.Release()"/>
    public void Release() => Host.Release();

    /// <inheritdoc cref="HostStorage.Release(long, long)"/>
    public void Release(long at, long bytes) => Host.Release(at, bytes);

    /// <summary>Zeros blocks about to be written: what an unfinished block does not hold yet must be finite.</summary>
    public void Clear(long first, long count)
    {
        using var scope = NewDisposeScope();
        Blocks.narrow(0, first, count).zero_();
        Scales?.narrow(0, first, count).zero_();
        Landmarks.narrow(1, first, count).zero_();
    }

    /// <summary>Copies blocks from where they stand in the same layer of another memory, with their landmark keys.</summary>
    public void CopyFrom(LayerBlocks other, long first, long count)
    {
        using var scope = NewDisposeScope();
        Blocks.narrow(0, first, count).copy_(other.Blocks.narrow(0, first, count));
        Scales?.narrow(0, first, count).copy_(other.Scales!.narrow(0, first, count));
        Landmarks.narrow(1, first, count).copy_(other.Landmarks.narrow(1, first, count));
    }

    /// <summary>Writes a pass's keys and values to their places.</summary>
    /// <param name="k">[G, T, d], at block-local phase.</param>
    /// <param name="v">[G, T, d].</param>
    /// <param name="places">Where each position goes.</param>
    public void Write(Tensor k, Tensor v, BlockPlaces places)
    {
        using var scope = NewDisposeScope();
        if (places.Regular is { } regular)
        {
            var pairs = stack([k, v], 2).index_select(1, regular).transpose(0, 1);           // [R, G, 2, d]
            var (numbers, scales) = blockType == ScalarType.Int8 ? BlockType.Quantize(pairs) : (pairs.to(blockType), null);
            Blocks.permute(0, 3, 1, 2, 4).index_put_(numbers, places.Block!, places.Offset!); // view [capacity, ℓ, G, 2, d]
            Scales?.permute(0, 3, 1, 2).index_put_(scales!, places.Block!, places.Offset!);   // view [capacity, ℓ, G, 2]
        }
        if (places.Landmark is { } landmark)
            Landmarks.index_copy_(1, places.Closed!, k.index_select(1, landmark));
    }

    /// <summary>Whether <see cref="WriteRotated"/> can write what is held here.</summary>
    public bool IsDirect { get; } = type == ScalarType.Float32 && device.type == DeviceType.CPU;

    /// <summary>Turns a pass's keys to block-local phase on their way to their places: <see cref="Write"/> in one go.</summary>
    /// <param name="k">[G, T, d], not rotated.</param>
    /// <param name="v">[G, T, d].</param>
    /// <param name="first">Position of the first, landmarks counted.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    public unsafe void WriteRotated(Tensor k, Tensor v, long first, Rotary rotary)
    {
        using var keyRows = Rows(k);
        using var valueRows = Rows(v);
        float* keys = (float*)Aten.DataPointer(keyRows), values = (float*)Aten.DataPointer(valueRows);
        float* landmarks = (float*)Aten.DataPointer(Landmarks), scales = Scales is null ? null : (float*)Aten.DataPointer(Scales);
        var (blocks, kept) = ((nint)Aten.DataPointer(Blocks), CpuRows.For(blockType));
        var (blockStep, scaleStep, landmarkStep) = (Blocks.stride(0) * kept.Size, Scales?.stride(0) ?? 0, Landmarks.stride(0));
        var angles = rotary.Distances((int)blockTokens + 1);
        var (width, count) = ((int)headDim, (int)k.shape[1]);
        CpuParallel.For(count, groups * headDim * 4, t =>
        {
            var (block, offset) = Math.DivRem(first + t, blockTokens + 1);
            var turned = stackalloc float[width];
            void Keep(float* row, long at) => kept.Store(
                row, width, (byte*)blocks + (block * blockStep) + (at * width * kept.Size),
                scales == null ? null : scales + (block * scaleStep) + at);

            fixed (float* angle = &angles[offset * width])
            {
                for (var g = 0L; g < groups; g++)
                {
                    var from = ((t * groups) + g) * width;
                    var isLandmark = offset == blockTokens;
                    CpuRotation.Turn(
                        keys + from, angle, 1, width, isLandmark ? landmarks + (g * landmarkStep) + (block * width) : turned);
                    if (isLandmark) continue;
                    var home = (g * 2 * blockTokens) + offset;                              // of the block's rows
                    Keep(turned, home);
                    Keep(values + from, home + blockTokens);
                }
            }
        });
        GC.KeepAlive(this);
    }

    /// <inheritdoc/>
    public void Dispose() => storage.Dispose();

    // Rows of a block lie together, whatever lies between blocks.
    private static unsafe Span<byte> Piece(Tensor rows, long block) => new(
        (byte*)Aten.DataPointer(rows) + (block * rows.stride(0) * rows.element_size()),
        checked((int)(rows.numel() / rows.shape[0] * rows.element_size())));

    private HostStorage Host => storage as HostStorage
        ?? throw new LandmarkException("Blocks of a file can be read on the CPU alone; choose the device cpu.");

    // [T, G, d] is how projections leave it: no copy then.
    private static Tensor Rows(Tensor x)
    {
        using var rows = x.transpose(0, 1);
        return rows.contiguous();
    }
}
