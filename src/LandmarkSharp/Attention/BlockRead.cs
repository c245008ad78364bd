using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Attention;

/// <summary>
/// Reads chosen blocks: for each query and each of its blocks, softmax over the block's regular tokens and the sum of their
/// values (the inner softmax A_b of landmark-attention.md 1.3). The gates are the caller's. Only chosen blocks are touched.
/// The kernel takes shapes and indices as they come: <see cref="RetrievedAttention"/> has checked them.
/// </summary>
internal static class BlockRead
{
    /// <summary>Reads each query's chosen blocks.</summary>
    /// <param name="q">[H, T, k, d]: the query in the form of each block's slot, scaled.</param>
    /// <param name="chosen">[H, T, k] int64: block indices.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d]: keys at block-local phase and values.</param>
    /// <param name="scales">[n, G, 2, ℓ]: what each row of int8 blocks is multiplied by.</param>
    /// <param name="reference">Use torch operators where a kernel exists.</param>
    /// <returns>[H, T, k, d].</returns>
    public static Tensor Read(Tensor q, Tensor chosen, Tensor blocks, Tensor? scales = null, bool reference = false) =>
        !reference && q.device_type == DeviceType.CPU && q.dtype == ScalarType.Float32 && blocks.dtype == ScalarType.Float32
            ? Kernel(q, chosen, blocks)
            : Gather(q, chosen, blocks, scales);

    /// <summary>The reference of reading each query's chosen blocks.</summary>
    internal static Tensor Gather(Tensor q, Tensor chosen, Tensor blocks, Tensor? scales = null)
    {
        using var scope = NewDisposeScope();
        var (h, g) = (q.shape[0], blocks.shape[1]);
        var group = arange(h, device: q.device).floor_divide(h / g).view(h, 1, 1);
        return GatherRows(q.flatten(0, 1), (chosen * g + group).flatten(0, 1), blocks, scales).view(q.shape).MoveToOuterDisposeScope();
    }

    /// <summary>Gathers the blocks of a few queries at a time, so that memory stays bounded.</summary>
    /// <param name="q">[R, k, d]: queries of any heads.</param>
    /// <param name="picks">[R, k] int64: block · G + key-value head.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d].</param>
    /// <param name="scales">[n, G, 2, ℓ].</param>
    /// <returns>[R, k, d].</returns>
    internal static Tensor GatherRows(Tensor q, Tensor picks, Tensor blocks, Tensor? scales)
    {
        using var scope = NewDisposeScope();
        var (r, k, d, l) = (q.shape[0], q.shape[1], q.shape[2], blocks.shape[3]);
        var g = blocks.shape[1];
        var step = Math.Max(1, (1L << 26) / (k * l * d));
        var parts = new List<Tensor>();
        for (long from = 0; from < r; from += step)
        {
            using var part = NewDisposeScope();
            var count = Math.Min(step, r - from);
            var pick = picks.narrow(0, from, count).flatten();
            TensorIndex[] at = [TensorIndex.Tensor(pick.floor_divide(g)), TensorIndex.Tensor(pick % g)];
            var read = BlockType.Widen(                                                     // [R'·k, 2, ℓ, d]
                blocks.index(at), scales?.index(at), q.dtype);
            var query = q.narrow(0, from, count).reshape(-1, 1, d);
            var a = softmax(query.matmul(read.select(1, 0).transpose(1, 2)), -1);           // [R'·k, 1, ℓ]
            parts.Add(a.matmul(read.select(1, 1)).view(count, k, d).MoveToOuterDisposeScope());
        }
        return cat(parts, 0).MoveToOuterDisposeScope();
    }

    /// <summary>Blocks of which each lies in one piece, with whatever between them: these themselves if they do.</summary>
    /// <param name="blocks">[n, …].</param>
    public static Tensor InSteps(Tensor blocks)
    {
        ReadOnlySpan<long> sizes = Aten.Sizes(blocks), strides = Aten.Strides(blocks);
        var dense = 1L;
        for (var i = sizes.Length - 1; i > 0; dense *= sizes[i--])
            if (sizes[i] > 1 && strides[i] != dense) return blocks.contiguous();
        return blocks;
    }

    private static unsafe Tensor Kernel(Tensor q, Tensor chosen, Tensor blocks)
    {
        using var queries = q.contiguous();
        using var picks = chosen.contiguous();
        var memory = InSteps(blocks);
        var result = empty_like(queries);
        var (h, t, k, d) = ((int)q.shape[0], (int)q.shape[1], (int)q.shape[2], (int)q.shape[3]);
        var (g, l, step) = ((int)blocks.shape[1], (int)blocks.shape[3], memory.stride(0));
        float* from = (float*)Aten.DataPointer(queries), to = (float*)Aten.DataPointer(result), data = (float*)Aten.DataPointer(memory);
        var pick = (long*)Aten.DataPointer(picks);
        CpuParallel.For(h * t, 2L * k * l * d, row =>
        {
            Span<float> scores = stackalloc float[l];
            var group = row / t / (h / g);
            for (var i = 0; i < k; i++)
            {
                var at = ((long)row * k) + i;
                var keys = data + (pick[at] * step) + ((long)group * 2 * l * d);
                ReadOne(from + (at * d), keys, keys + ((long)l * d), scores, new(to + (at * d), d));
            }
        });
        GC.KeepAlive(memory);
        return result;
    }

    private static unsafe void ReadOne(float* q, float* keys, float* values, Span<float> scores, Span<float> result)
    {
        var d = result.Length;
        for (var j = 0; j < scores.Length; j++)
            scores[j] = TensorPrimitives.Dot(new ReadOnlySpan<float>(q, d), new ReadOnlySpan<float>(keys + ((long)j * d), d));
        TensorPrimitives.Subtract(scores, TensorPrimitives.Max<float>(scores), scores);
        TensorPrimitives.Exp(scores, scores);
        TensorPrimitives.Divide(scores, TensorPrimitives.Sum<float>(scores), scores);
        result.Clear();
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(result);
        var tail = vectors.Length * Vector<float>.Count;
        for (var j = 0; j < scores.Length; j++)
        {
            var row = values + ((long)j * d);
            var a = new Vector<float>(scores[j]);
            for (var i = 0; i < vectors.Length; i++)
                vectors[i] = Vector.FusedMultiplyAdd(a, *(Vector<float>*)(row + (i * Vector<float>.Count)), vectors[i]);
            for (var i = tail; i < d; i++)
                result[i] += scores[j] * row[i];
        }
    }
}
