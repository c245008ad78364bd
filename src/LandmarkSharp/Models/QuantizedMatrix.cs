using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// A frozen matrix in 8 or 4 bits a number. In 8 bits a number is code · scale, the codes from −127 to 127 and a scale for each row;
/// in 4 it is one of the levels of <see cref="NormalFloat"/> times a scale for each 64 numbers of a row. A row is its codes, then
/// its scales as bfloat16, so that a matrix is one tensor of bytes. Codes are chosen for the scale as it was rounded.
/// </summary>
/// <param name="Rows">[N, bytes of a row]: what <see cref="Pack"/> gave.</param>
/// <param name="Columns">Numbers of a row, K.</param>
/// <param name="Bits">8 or 4.</param>
internal readonly record struct QuantizedMatrix(Tensor Rows, long Columns, int Bits)
{
    private const long AtOnce = 1 << 22;                // numbers that are packed at once: the matrix is never there whole in float32

    private RowLayout Row => new(Columns, Bits);

    /// <summary>Quantises a matrix, some rows at a time.</summary>
    /// <param name="matrix">[N, K] of any type of numbers, on any device.</param>
    /// <param name="bits">8 or 4.</param>
    /// <param name="device">Where the bytes go.</param>
    /// <param name="name">Stands in errors.</param>
    /// <returns>[N, bytes of a row].</returns>
    /// <exception cref="LandmarkException">A number is not finite, or too large for a scale.</exception>
    public static Tensor Pack(Tensor matrix, int bits, Device device, string name)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (count, row) = (matrix.shape[0], new RowLayout(matrix.shape[1], bits));
        var packed = empty([count, row.CodeBytes + row.ScaleBytes], ScalarType.Byte, device);
        var step = Math.Max(1, AtOnce / row.Columns);
        for (var first = 0L; first < count; first += step)
        {
            using var part = NewDisposeScope();
            var some = Math.Min(step, count - first);
            packed.narrow(0, first, some).copy_(row.Pack(matrix.narrow(0, first, some).to(device).to(ScalarType.Float32), name));
        }
        return packed.MoveToOuterDisposeScope();
    }

    /// <summary>The matrix that the bytes stand for.</summary>
    /// <param name="type">float32, bfloat16, float16 or float64.</param>
    /// <returns>[N, K] of that type.</returns>
    public Tensor Dequantize(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var codes = Rows.narrow(1, 0, Row.CodeBytes);
        var scales = ByteView.As(Rows.narrow(1, Row.CodeBytes, Row.ScaleBytes), ScalarType.BFloat16).to(type);           // [N, S]
        return (Bits == 8 ? ByteView.As(codes, ScalarType.Int8) * scales : Scaled(NormalFloat.Values(codes, type), scales))
            .narrow(1, 0, Columns).MoveToOuterDisposeScope();
    }

    /// <summary>Multiplies blocks of a row by their scales, in place; the last may be shorter.</summary>
    private static Tensor Scaled(Tensor values, Tensor scales)
    {
        var (whole, rest) = Math.DivRem(values.shape[1], RowLayout.Block);
        values.narrow(1, 0, whole * RowLayout.Block).unflatten(1, [whole, RowLayout.Block]).mul_(scales.narrow(1, 0, whole).unsqueeze(-1));
        if (rest > 0) values.narrow(1, whole * RowLayout.Block, rest).mul_(scales.narrow(1, whole, 1));
        return values;
    }

    /// <summary>How a row lies in bytes.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct RowLayout(long Columns, int Bits)
    {
        public const int Block = 64;                    // numbers that share a scale in 4 bits, as in QLoRA
        private const int LargestCode = 127;

        public long CodeBytes => ((Columns * Bits) + 15) / 16 * 2;     // scales begin at an even place

        public long ScaleBytes => 2 * Scales;

        private long Codes => CodeBytes * 8 / Bits;                     // those that fill up the last bytes stand for 0

        private long PerScale => Bits == 8 ? Codes : Block;

        private long Scales => (Codes + PerScale - 1) / PerScale;

        /// <summary>Bytes of rows.</summary>
        /// <param name="rows">[n, K] float32.</param>
        /// <param name="name">Stands in errors.</param>
        /// <returns>[n, bytes of a row].</returns>
        public Tensor Pack(Tensor rows, string name)
        {
            var blocks = nn.functional.pad(rows, [0, (Scales * PerScale) - Columns]).unflatten(1, [Scales, PerScale]);    // [n, S, b]
            var scales = (blocks.abs().amax(-1) / (Bits == 8 ? LargestCode : 1)).to(ScalarType.BFloat16);                   // [n, S]
            if (!scales.isfinite().all().item<bool>())
                throw new LandmarkException(
                    $"'{name}' has a number that is infinite, too large or none at all, which {Bits} bits cannot hold; "
                    + "repair the model, or leave base_bits out of the recipe.");
            var divisors = scales.to(ScalarType.Float32).masked_fill(scales == 0, 1).unsqueeze(-1);
            var units = (blocks / divisors).flatten(1).narrow(1, 0, Codes);
            var codes = Bits == 8
                ? ByteView.As(units.round().clamp(-LargestCode, LargestCode).to(ScalarType.Int8), ScalarType.Byte)
                : NormalFloat.Codes(units);
            return cat([codes, ByteView.As(scales, ScalarType.Byte)], 1);
        }
    }
}
