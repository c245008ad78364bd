using System.Runtime.Intrinsics;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Models;

/// <summary>
/// x·Wᵀ for some dozens of rows and more on a processor with AVX-512: the product that libtorch brings does not use those
/// vectors on every make. A panel of weights is turned once, stays in the first caches, and all rows pass over it.
/// </summary>
internal static unsafe class CpuLinear
{
    private const int FewestRows = 64;                  // turning a panel costs what 30 rows do
    private const int Inner = 128;                      // 32 KiB of a panel; sums are as long, which keeps their rounding small

    /// <summary>Whether the product is computed here; gradients are not.</summary>
    /// <param name="x">[..., K].</param>
    /// <param name="weight">[N, K].</param>
    public static bool Serves(Tensor x, Tensor weight)
    {
        if (!Lanes512.IsSupported || is_grad_enabled() || x.dtype != ScalarType.Float32 || weight.dtype != ScalarType.Float32
            || x.device_type != DeviceType.CPU || weight.device_type != DeviceType.CPU) return false;
        ReadOnlySpan<long> from = Aten.Sizes(x), sizes = Aten.Sizes(weight);
        var rows = 1L;
        foreach (var size in from[..^1]) rows *= size;
        return rows is >= FewestRows and <= int.MaxValue && sizes[0] % CpuTile.LaneStep == 0 && from[^1] == sizes[1];
    }

    /// <summary>x·Wᵀ, for what <see cref="Serves"/> allows.</summary>
    /// <returns>[..., N].</returns>
    public static Tensor Forward(Tensor x, Tensor weight)
    {
        using var rows = x.contiguous();
        using var held = weight.contiguous();
        var (outputs, inputs) = ((int)weight.shape[0], (int)weight.shape[1]);
        var result = empty([.. x.shape[..^1], outputs], ScalarType.Float32);
        var count = (int)(x.numel() / inputs);
        float* from = (float*)Aten.DataPointer(rows), weights = (float*)Aten.DataPointer(held), to = (float*)Aten.DataPointer(result);
        var panels = (outputs + CpuTile.Lanes - 1) / CpuTile.Lanes;
        // Rows are cut only where there are more threads than panels, for each part turns its panel anew.
        var parts = Math.Clamp(get_num_threads() / panels, 1, count / FewestRows);
        CpuParallel.Each(panels * parts, (long)count / parts * inputs * CpuTile.Lanes, Inner * CpuTile.Lanes, (unit, scratch) =>
        {
            var (panel, part) = Math.DivRem(unit, parts);
            var (output, first) = (panel * CpuTile.Lanes, (int)((long)count * part / parts));
            var (lanes, next) = (Math.Min(CpuTile.Lanes, outputs - output), (int)((long)count * (part + 1) / parts));
            for (var at = 0; at < inputs; at += Inner)
            {
                var inner = Math.Min(Inner, inputs - at);
                CpuTile.Transpose(weights + ((long)output * inputs) + at, inputs, lanes, inner, 1, scratch, CpuTile.Lanes);
                var a = new Matrix(from + ((long)first * inputs) + at, inputs);
                var c = new Matrix(to + ((long)first * outputs) + output, outputs);
                if (at == 0) CpuProduct<Lanes512, Vector512<float>>.Set(a, next - first, inner, CpuTile.Columns(scratch), lanes, c);
                else CpuProduct<Lanes512, Vector512<float>>.Add(a, next - first, inner, CpuTile.Columns(scratch), lanes, c);
            }
        });
        GC.KeepAlive(rows);
        GC.KeepAlive(held);
        return result;
    }
}
