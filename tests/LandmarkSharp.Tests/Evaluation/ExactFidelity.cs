using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation;

/// <summary>
/// What <see cref="Fidelity"/> tells of one context, by float64 in one pass over all of it: the attention matrix is there as a whole, and
/// what is chosen is what stands before it.
/// </summary>
internal sealed class ExactFidelity : IAttention, IDisposable
{
    private readonly Decoder decoder;
    private readonly BlockLayout layout;
    private readonly int[] ids;
    private readonly int window;                // blocks

    /// <summary>A tiny engine's model once more, in float64.</summary>
    public ExactFidelity(LandmarkEngine engine, int[] tokens)
    {
        var landmark = engine.Config.Landmark!;
        (ids, window) = (TinyModel.WithLandmarks(engine.Config, tokens), engine.Retrieval!.WindowBlocks);
        decoder = new Decoder(engine.Config, (name, _) => engine.Decoder.Parameters[name].to(ScalarType.Float64, copy: true), ScalarType.Float64);
        layout = BlockLayout.Regular(ids.Length, ids.Length, landmark.BlockLength, landmark.BlockLength);
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        decoder.Forward(tensor(ids, ScalarType.Int64).unsqueeze(0), this);
    }

    /// <summary>Dense gates of each layer, head, query and block: [H, T, N].</summary>
    public List<double[,,]> Gates { get; } = [];

    /// <summary>Dense outputs of each layer: [H, T, d].</summary>
    public List<double[,,]> Outputs { get; } = [];

    /// <summary>Positions with their landmarks.</summary>
    public IReadOnlyList<int> Ids => ids;

    /// <summary>Blocks before a position's window.</summary>
    public int Before(int position) => position / (window * (int)layout.Columns) * window;

    /// <summary>Over all queries with blocks before their window, the mass of those and of some.</summary>
    public (double Past, double Some) Mass(int layer, Func<double[], int, int, double> some)
    {
        var (past, of) = (0.0, 0.0);
        for (var h = 0; h < decoder.Config.Heads; h++)
        {
            for (var t = 0; t < ids.Length; t++)
            {
                double[] gates = [.. Enumerable.Range(0, Before(t)).Select(b => Gates[layer][h, t, b])];
                (past, of) = (past + gates.Sum(), of + some(gates, h, t));
            }
        }
        return (past, of);
    }

    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        var positions = arange(ids.Length);
        var (rotary, scale) = (decoder.Rotary, decoder.Rotary.ScoreScale / Math.Sqrt(decoder.Config.HeadDim));
        var weights = LandmarkAttention.Weights(rotary.Rotate(q, positions), rotary.Rotate(k, positions), layout, scale);    // [1, H, T, N, W]
        Gates.Add(Numbers(weights.sum([-1L]).squeeze(0)));
        var output = LandmarkAttention.Values(weights.flatten(3, 4), layout.Arrange(v));
        Outputs.Add(Numbers(output.squeeze(0)));
        return output.MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        decoder.Dispose();
        layout.Dispose();
    }

    public static double[,,] Numbers(Tensor x)
    {
        using var wide = x.to(ScalarType.Float64);
        using var whole = wide.contiguous();
        var numbers = new double[x.shape[0], x.shape[1], x.shape[2]];
        Buffer.BlockCopy(whole.data<double>().ToArray(), 0, numbers, 0, numbers.Length * sizeof(double));
        return numbers;
    }
}
