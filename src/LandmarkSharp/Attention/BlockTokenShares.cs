using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// How a query's attention is divided inside the blocks that it read: the gate P_b times the inner softmax A_b of landmark-attention.md
/// 1.3. The kernels keep none of it, so it is computed anew, for those who ask for it.
/// </summary>
internal static class BlockTokenShares
{
    /// <summary>Computes them, head by head, so that memory stays bounded where many blocks were read.</summary>
    /// <param name="q">[H, T, d], scaled, not rotated.</param>
    /// <param name="chosen">[H, T, k'] int64: blocks; −1 for none.</param>
    /// <param name="gates">[H, T, k']: their gates.</param>
    /// <param name="positions">Where blocks are placed.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d]: keys at block-local phase, and values.</param>
    /// <param name="scales">[n, G, 2, ℓ]: what each row of int8 blocks is multiplied by.</param>
    /// <returns>[H, T, k', ℓ], float32 or as the gates are.</returns>
    public static Tensor Of(Tensor q, Tensor chosen, Tensor gates, BlockPositions positions, Tensor blocks, Tensor? scales)
    {
        using var scope = NewDisposeScope();
        var (heads, group) = (q.shape[0], q.shape[0] / blocks.shape[1]);
        var keys = blocks.select(2, 0);                                                     // [n, G, ℓ, d]
        var turned = positions.ForReading(positions.Turn(q), chosen);                       // [H, T, k', d]
        var shares = new List<Tensor>();
        for (long head = 0; head < heads; head++)
        {
            using var part = NewDisposeScope();
            var picks = chosen[head].clamp_min(0).flatten();                                // [T·k']
            var near = BlockType.Widen(                                                     // [T·k', ℓ, d]
                keys.select(1, head / group).index_select(0, picks), scales?.select(2, 0).select(1, head / group).index_select(0, picks), q.dtype);
            var scores = near.matmul(turned[head].reshape(-1, q.shape[2], 1)).squeeze(-1);  // [T·k', ℓ]
            var inner = softmax(scores.to(gates.dtype), -1).view(chosen.shape[1], chosen.shape[2], -1);
            shares.Add((inner * gates[head].unsqueeze(-1)).MoveToOuterDisposeScope());
        }
        return stack(shares, 0).MoveToOuterDisposeScope();
    }
}
