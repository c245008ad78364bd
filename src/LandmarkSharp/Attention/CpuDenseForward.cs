using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmark attention in one pass (landmark-attention.md 1.6): a tile of queries goes over the blocks it sees, and the gate's
/// softmax is carried along. Nothing grows with the square of the sequence.
/// </summary>
/// <param name="x">Queries, keys and values.</param>
/// <param name="output">[B, H, T, d].</param>
/// <param name="logSums">[B, H, T]: the logarithm of each query's sum over its gate; +∞ where it sees nothing.</param>
internal sealed unsafe class CpuDenseForward<TLanes, T>(CpuDenseTensors x, HeadRows output, float* logSums)
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private readonly int d = x.Width, tiles = (x.Blocks.Queries + CpuTile.Lanes - 1) / CpuTile.Lanes;

    public void Run()
    {
        var work = (long)CpuTile.Lanes * x.Blocks.Keys * d;
        CpuParallel.Each(x.Batch * x.Heads * tiles, work, (2 * d * CpuTile.Lanes) + x.ScoreRoom + (4 * CpuTile.Lanes), Tile);
    }

    /// <summary>The output of up to 64 queries of a head.</summary>
    private void Tile(int row, float* scratch)
    {
        var (at, tile) = Math.DivRem(row, tiles);
        var (b, h) = Math.DivRem(at, x.Heads);
        var query = (tiles - 1 - tile) * CpuTile.Lanes;                                     // the longest rows first
        var count = Math.Min(CpuTile.Lanes, x.Blocks.Queries - query);
        var (lanes, first, last) = (CpuTile.Padded(count), x.First + query, x.First + query + count - 1);
        float* queries = scratch, result = queries + (d * CpuTile.Lanes), scores = result + (d * CpuTile.Lanes);
        float* highest = scores + x.ScoreRoom, sums = highest + CpuTile.Lanes, factors = sums + CpuTile.Lanes;

        CpuTile.ToColumns(x.Q.At(b, h, query), x.Q.Row, count, d, x.Scale, queries);
        new Span<float>(result, d * CpuTile.Lanes).Clear();
        new Span<float>(highest, CpuTile.Lanes).Fill(float.NegativeInfinity);
        new Span<float>(sums, CpuTile.Lanes).Clear();
        for (var n = 0; n <= x.Blocks.Of(last); n++)
        {
            var block = new TileBlock(x.Blocks, n, first, last);
            if (block.Tokens == 0) continue;
            var (keys, values) = (x.K.From(b, x.Group(h), block.Start), x.V.From(b, x.Group(h), block.Start));
            var columns = CpuTile.Columns(scores);
            CpuProduct<TLanes, T>.Set(keys, block.Keys, d, CpuTile.Columns(queries), lanes, columns);
            CpuGate<TLanes, T>.Add(scores, lanes, block, highest, sums, factors);
            CpuProduct<TLanes, T>.Blend(values.Transposed, d, block.Tokens, columns, lanes, CpuTile.Columns(result), factors);
        }
        Finish(result, lanes, highest, sums, count, output.At(b, h, query), logSums + ((long)at * x.Blocks.Queries) + query);
    }

    /// <summary>Divides by the gate's sums, and writes columns as rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Finish(float* result, int lanes, float* highest, float* sums, int count, float* to, float* logSum)
    {
        for (var m = 0; m < count; m++)
            logSum[m] = sums[m] == 0 ? float.PositiveInfinity : highest[m] + MathF.Log(sums[m]);
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            // A sum is 0 where nothing is seen, and else at least 1.
            var sum = TLanes.Load(sums + lane);
            var factor = TLanes.IfLess(sum, TLanes.Fill(0.5f), TLanes.Fill(0), TLanes.Divide(TLanes.Fill(1), sum));
            for (var i = 0; i < d; i++)
            {
                var at = result + (i * CpuTile.Lanes) + lane;
                TLanes.Store(TLanes.Multiply(TLanes.Load(at), factor), at);
            }
        }
        CpuTile.Transpose(result, CpuTile.Lanes, d, count, 1, to, output.Row);
    }
}
