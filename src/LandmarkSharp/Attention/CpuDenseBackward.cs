using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Gradients of landmark attention (landmark-attention.md 1.5), scores made anew. With g_j = dO·v_j, δ = dO·O and
/// D_b = Σ_j A_b[j]·g_j, both of which need no product of their own:
/// <code>
/// ds_j = W_j · (g_j − D_b),   dλ_b = P_b · (D_b − δ)     for an earlier block
/// ds_j = W_j · (g_j − δ)                                 for the own block
/// dq = Σ_j ds_j·k_j,   dk_j = Σ_i ds_ij·q_i,   dv_j = Σ_i W_ij·dO_i
/// </code>
/// </summary>
/// <param name="x">Queries, keys and values.</param>
/// <param name="logSums">[B, H, T], from the forward pass.</param>
/// <param name="deltas">[B, H, T]: δ.</param>
/// <param name="gradient">dO, [B, H, T, d].</param>
/// <param name="dq">[B, H, T, d], zeros, to which is added.</param>
/// <param name="dk">[B, G, S, Padded(d)], zeros.</param>
/// <param name="dv">[B, G, S, Padded(d)], zeros.</param>
internal sealed unsafe class CpuDenseBackward<TLanes, T>(
    CpuDenseTensors x, float* logSums, float* deltas, HeadRows gradient, HeadRows dq, HeadRows dk, HeadRows dv)
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    // Positions that one row of work has of queries, and of keys.
    private const int Span = 512;

    private readonly int d = x.Width, room = CpuTile.Padded(x.Width);

    /// <summary>
    /// Queries and keys are cut in spans; the pairs of one round are as far apart, so no two of them add to the same gradient,
    /// and every gradient is summed in the same order whatever the threads.
    /// </summary>
    public void Run()
    {
        var (from, to) = (x.First / Span, (x.Blocks.Keys - 1) / Span);
        var scratch = (3 * d * CpuTile.Lanes) + (2 * room * CpuTile.Lanes) + (2 * x.ScoreRoom) + (2 * CpuTile.Lanes);
        for (var apart = 0; apart <= to; apart++)
        {
            var (first, distance) = (Math.Max(from, apart), apart);
            var spans = to - first + 1;
            CpuParallel.Each(x.Batch * x.Groups * spans, (long)Span * Span * d, scratch, (row, at) =>
            {
                var (head, span) = Math.DivRem(row, spans);
                var (b, g) = Math.DivRem(head, x.Groups);
                Spans(b, g, first + span, first + span - distance, at);
            });
        }
    }

    /// <summary>All query heads of a group: one span of queries against the blocks that begin in one span of keys.</summary>
    private void Spans(int b, int g, int queries, int keys, float* scratch)
    {
        var (from, to) = (Math.Max(queries * Span, x.First), Math.Min((queries + 1) * Span, x.Blocks.Keys));
        var firstBlock = keys == 0 ? 0 : x.Blocks.Of((keys * Span) - 1) + 1;
        var lastBlock = x.Blocks.Of(((keys + 1) * Span) - 1);
        if (firstBlock > lastBlock) return;
        for (var h = g * (x.Heads / x.Groups); h < (g + 1) * (x.Heads / x.Groups); h++)
        {
            for (var first = from; first < to; first += CpuTile.Lanes)
                Tile(b, h, first, Math.Min(CpuTile.Lanes, to - first), firstBlock, lastBlock, scratch);
        }
    }

    private void Tile(int b, int h, int first, int count, int firstBlock, int lastBlock, float* scratch)
    {
        var (query, g, lanes) = (first - x.First, x.Group(h), CpuTile.Padded(count));
        float* queries = scratch, gradients = queries + (d * CpuTile.Lanes), result = gradients + (d * CpuTile.Lanes);
        float* queryRows = result + (d * CpuTile.Lanes), gradientRows = queryRows + (room * CpuTile.Lanes);
        float* scores = gradientRows + (room * CpuTile.Lanes), products = scores + x.ScoreRoom;
        float* logSum = products + x.ScoreRoom, delta = logSum + CpuTile.Lanes;

        CpuTile.ToColumns(x.Q.At(b, h, query), x.Q.Row, count, d, x.Scale, queries);
        CpuTile.ToColumns(gradient.At(b, h, query), gradient.Row, count, d, 1, gradients);
        CpuTile.ToRows(x.Q.At(b, h, query), x.Q.Row, count, d, x.Scale, queryRows);
        CpuTile.ToRows(gradient.At(b, h, query), gradient.Row, count, d, 1, gradientRows);
        new Span<float>(result, d * CpuTile.Lanes).Clear();
        // Lanes without a query weigh nothing.
        var row = ((((long)b * x.Heads) + h) * x.Blocks.Queries) + query;
        new Span<float>(logSum, CpuTile.Lanes).Fill(float.PositiveInfinity);
        new Span<float>(logSums + row, count).CopyTo(new(logSum, CpuTile.Lanes));
        new Span<float>(delta, CpuTile.Lanes).Clear();
        new Span<float>(deltas + row, count).CopyTo(new(delta, CpuTile.Lanes));

        var (w, ds, last) = (CpuTile.Columns(scores), CpuTile.Columns(products), first + count - 1);
        for (var n = firstBlock; n <= Math.Min(lastBlock, x.Blocks.Of(last)); n++)
        {
            var block = new TileBlock(x.Blocks, n, first, last);
            if (block.Tokens == 0) continue;
            var (keys, values) = (x.K.From(b, g, block.Start), x.V.From(b, g, block.Start));
            CpuProduct<TLanes, T>.Set(keys, block.Keys, d, CpuTile.Columns(queries), lanes, w);
            CpuProduct<TLanes, T>.Set(values, block.Tokens, d, CpuTile.Columns(gradients), lanes, ds);
            Differentiate(scores, products, lanes, block, logSum, delta);
            CpuProduct<TLanes, T>.Add(w, block.Tokens, count, new(gradientRows, room), room, dv.From(b, g, block.Start));
            CpuProduct<TLanes, T>.Add(ds, block.Keys, count, new(queryRows, room), room, dk.From(b, g, block.Start));
            CpuProduct<TLanes, T>.Add(keys.Transposed, d, block.Keys, ds, lanes, CpuTile.Columns(result));
        }
        CpuTile.Transpose(result, CpuTile.Lanes, d, count, x.Scale, queryRows, room);
        for (var m = 0; m < count; m++)
        {
            var to = new Span<float>(dq.At(b, h, query + m), d);
            TensorPrimitives.Add(to, new ReadOnlySpan<float>(queryRows + (m * room), d), to);
        }
    }

    /// <summary>Turns a block's scores into W, and g = dO·v into ds.</summary>
    /// <param name="scores">[keys, 64].</param>
    /// <param name="products">[keys, 64].</param>
    /// <param name="lanes">Lanes in use.</param>
    /// <param name="block">The block.</param>
    /// <param name="logSums">[64].</param>
    /// <param name="delta">[64].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate(float* scores, float* products, int lanes, in TileBlock block, float* logSums, float* delta)
    {
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            float* s = scores + lane, p = products + lane;
            var numbers = TLanes.Add(TLanes.Fill(lane), TLanes.Indices);
            var highest = CpuTile<TLanes, T>.Highest(s, numbers, block);
            var finite = CpuTile<TLanes, T>.Finite(highest);
            var (sum, dot) = (TLanes.Fill(0), TLanes.Fill(0));
            for (var j = 0; j < block.Tokens; j++)
            {
                var at = s + (j * CpuTile.Lanes);
                var e = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(TLanes.Load(at), finite));
                sum = TLanes.Add(sum, e);
                dot = TLanes.MultiplyAdd(e, TLanes.Load(p + (j * CpuTile.Lanes)), dot);
                TLanes.Store(e, at);
            }

            var (past, own) = (TLanes.Fill(block.PastFrom), TLanes.Load(delta + lane));
            var logit = TLanes.IfLess(numbers, past, highest, TLanes.Load(s + (block.Tokens * CpuTile.Lanes)));
            var mass = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(logit, TLanes.Load(logSums + lane)));
            var gain = TLanes.IfLess(numbers, past, mass, TLanes.Divide(mass, sum));
            var mean = TLanes.IfLess(numbers, past, own, TLanes.Divide(dot, sum));
            for (var j = 0; j < block.Tokens; j++)
            {
                float* at = s + (j * CpuTile.Lanes), product = p + (j * CpuTile.Lanes);
                var w = TLanes.Multiply(gain, TLanes.Load(at));
                TLanes.Store(w, at);
                TLanes.Store(TLanes.Multiply(w, TLanes.Subtract(TLanes.Load(product), mean)), product);
            }
            // To its own block a landmark is nothing, and there mean is δ.
            if (block.Keys > block.Tokens)
                TLanes.Store(TLanes.Multiply(mass, TLanes.Subtract(mean, own)), p + (block.Tokens * CpuTile.Lanes));
        }
    }
}
