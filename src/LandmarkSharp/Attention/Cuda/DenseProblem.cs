using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>What kernels of dense attention compute, beside queries, keys and values.</summary>
/// <param name="Blocks">Where the blocks lie.</param>
/// <param name="Scale">What scores are multiplied by, more than 0.</param>
internal sealed record DenseProblem(RegularBlocks Blocks, double Scale)
{
    /// <summary><see cref="BlockLayout.Documents"/>, [R, 2, N] int32 with R = 1 or B.</summary>
    public Tensor? Documents { get; init; }

    /// <summary>[B, N + 1] bool: whether a gate has the block, and last whether it has a query's own; all when null.</summary>
    public Tensor? Choices { get; init; }

    /// <summary>Which gates are dropped; none when null.</summary>
    public SeededDropout? Dropout { get; init; }

    /// <summary>What a layout, whose blocks are regular, asks for.</summary>
    public static DenseProblem Of(BlockLayout layout, double scale) => new(layout.Regularity!.Value, scale) { Documents = layout.Documents };

    /// <summary>Blocks of the sequence, counted from a whole first one, N.</summary>
    public int Count => HopperShape.Over(Blocks.Keys + Blocks.Length - Blocks.First, Blocks.Length);

    /// <summary>Positions before the first key, up to the beginning of a whole first block.</summary>
    public int Pad => Blocks.Length - Blocks.First;

    /// <summary>Numbers from one row of documents to the next: none when one row is for all.</summary>
    public int DocumentRow => Documents is not null && Aten.Sizes(Documents)[0] > 1 ? 2 * Count : 0;

    /// <summary>Kernels take addresses: what does not fit must not get that far.</summary>
    /// <exception cref="LandmarkException">Documents or choices are for another batch or device.</exception>
    public void Check(Tensor q)
    {
        var batch = Aten.Sizes(q)[0];
        if (Documents is not null)
            Check(Documents, ScalarType.Int32, q, "packed documents", [Aten.Sizes(Documents)[0] == 1 ? 1 : batch, 2, Count]);
        if (Choices is not null) Check(Choices, ScalarType.Bool, q, "chosen blocks", [batch, Count + 1]);
    }

    private static void Check(Tensor x, ScalarType type, Tensor q, string what, ReadOnlySpan<long> sizes)
    {
        if (x.dtype != type || !x.is_contiguous() || !Aten.Sizes(x).SequenceEqual(sizes) || x.device_type != q.device_type || x.device_index != q.device_index)
            throw new LandmarkException(
                $"A table of {what}, {x.dtype} [{string.Join(", ", x.shape)}] on {x.device}, does not fit queries [{string.Join(", ", q.shape)}] "
                + $"on {q.device}: expected {type} [{string.Join(", ", sizes.ToArray())}] there.");
    }
}
