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
            Softmax(scores, lanes, block, highest, sums, factors);
            CpuProduct<TLanes, T>.Blend(values.Transposed, d, block.Tokens, columns, lanes, CpuTile.Columns(result), factors);
        }
        Finish(result, lanes, highest, sums, count, output.At(b, h, query), logSums + ((long)at * x.Blocks.Queries) + query);
    }

    /// <summary>
    /// Turns a block's scores into exponentials, and adds the block to the gate. A past block enters with its landmark's score
    /// and the mean of its values, the own block with the scores of its tokens.
    /// </summary>
    /// <param name="scores">[keys, 64].</param>
    /// <param name="lanes">Lanes in use.</param>
    /// <param name="block">The block.</param>
    /// <param name="highest">[64]: the highest logit so far.</param>
    /// <param name="sums">[64]: the gate's sum so far, less the highest logit.</param>
    /// <param name="factors">[2, 64]: what the result so far is multiplied by, and the block's sum of values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(float* scores, int lanes, in TileBlock block, float* highest, float* sums, float* factors)
    {
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            var s = scores + lane;
            var numbers = TLanes.Add(TLanes.Fill(lane), TLanes.Indices);
            var inner = CpuTile<TLanes, T>.Highest(s, numbers, block);
            var finite = CpuTile<TLanes, T>.Finite(inner);
            var sum = TLanes.Fill(0);
            for (var j = 0; j < block.Tokens; j++)
            {
                var at = s + (j * CpuTile.Lanes);
                var e = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(TLanes.Load(at), finite));
                sum = TLanes.Add(sum, e);
                TLanes.Store(e, at);
            }

            var past = TLanes.Fill(block.PastFrom);
            var logit = TLanes.IfLess(numbers, past, inner, TLanes.Load(s + (block.Tokens * CpuTile.Lanes)));
            var before = TLanes.Load(highest + lane);
            var now = TLanes.Max(before, logit);
            finite = CpuTile<TLanes, T>.Finite(now);
            var keep = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(before, finite));
            var mass = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(logit, finite));
            var added = TLanes.IfLess(numbers, past, TLanes.Multiply(mass, sum), mass);
            TLanes.Store(now, highest + lane);
            TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(sums + lane), keep, added), sums + lane);
            TLanes.Store(keep, factors + lane);
            TLanes.Store(TLanes.IfLess(numbers, past, mass, TLanes.Divide(mass, sum)), factors + CpuTile.Lanes + lane);
        }
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
