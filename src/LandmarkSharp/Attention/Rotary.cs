using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Rotary position embedding, half-split as in Llama: the pair (x_i, x_{i+d/2}) turns by position · frequency_i.
/// Rotations compose, so q·R(p)ᵀ·R(s+o)·k = (R(p−s)·q)·(R(o)·k): a key rotated once by its offset o inside its block is
/// placed in any slot by rotating the query instead. Every angle is computed in float64.
/// </summary>
/// <param name="frequencies">Angles per position, one a pair, [d/2]; from <see cref="RotaryScaling"/>.</param>
/// <param name="scoreScale">What the scaling multiplies scores by (YaRN's attention factor squared); 1 for the others.</param>
public sealed class Rotary(double[] frequencies, double scoreScale = 1.0)
{
    private readonly Dictionary<string, Tensor> angles = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> distancesOn = new(StringComparer.Ordinal);
    private float[] distances = [];

    /// <summary>The head's width d.</summary>
    public int HeadDim => frequencies.Length * 2;

    /// <summary>What attention scores are multiplied by on top of 1/√d.</summary>
    public double ScoreScale => scoreScale;

    /// <summary>Rotates heads to positions.</summary>
    /// <param name="x">[..., d].</param>
    /// <param name="positions">Integer positions, broadcastable to x's shape without its last dimension; may be negative.</param>
    /// <returns>A tensor of x's shape broadcast with the positions, of x's type.</returns>
    public Tensor Rotate(Tensor x, Tensor positions)
    {
        using var table = Table(positions, x.dtype);
        return table.Rotate(x);
    }

    /// <summary>Cosines and sines of positions, [..., d/2], rounded to <paramref name="type"/> from float64.</summary>
    public RotaryTable Table(Tensor positions, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var angle = positions.to(ScalarType.Float64).unsqueeze(-1) * Frequencies(positions.device); // [..., d/2]
        return new RotaryTable(angle.cos().to(type).MoveToOuterDisposeScope(), angle.sin().to(type).MoveToOuterDisposeScope());
    }

    /// <summary>
    /// Rows for turning by 0, 1, 2 … positions: each d/2 cosines, then d/2 sines, rounded from float64. Made once and
    /// shared by all who ask.
    /// </summary>
    /// <param name="count">Rows needed at least.</param>
    internal float[] Distances(int count)
    {
        lock (angles)
        {
            if (distances.Length >= count * HeadDim) return distances;
            var half = frequencies.Length;
            var rows = new float[(int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)count) * HeadDim];
            for (var i = 0; i < rows.Length / HeadDim; i++)
            {
                for (var j = 0; j < half; j++)
                {
                    var (sin, cos) = Math.SinCos(i * frequencies[j]);
                    (rows[(i * HeadDim) + j], rows[(i * HeadDim) + half + j]) = ((float)cos, (float)sin);
                }
            }
            return distances = rows;
        }
    }

    /// <summary><see cref="Distances"/> on a device, [<paramref name="count"/> or more, d] float32.</summary>
    internal Tensor DistancesOn(Device device, int count)
    {
        lock (angles)
        {
            var key = device.ToString();
            if (distancesOn.TryGetValue(key, out var table) && Aten.Sizes(table)[0] >= count) return table;
            using var scope = NewDisposeScope();
            var grown = tensor(Distances(count)).view(-1, HeadDim).to(device).DetachFromDisposeScope();
            return distancesOn[key] = grown;       // the smaller one may still be in use: the finalizer frees it
        }
    }

    private Tensor Frequencies(Device device)
    {
        lock (angles)
        {
            var key = device.ToString();
            if (!angles.TryGetValue(key, out var tensor))
                angles[key] = tensor = torch.tensor(frequencies, device: device).DetachFromDisposeScope();
            return tensor;
        }
    }
}
