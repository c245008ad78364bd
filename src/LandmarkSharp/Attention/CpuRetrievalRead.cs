using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Reads the window and the chosen blocks for spans of queries of a head. The window's blocks are the same for all, and go as in
/// dense attention; the chosen ones are turned about: each block is read once for all queries of the span that chose it.
/// </summary>
/// <param name="view">What is read.</param>
/// <param name="chosen">[H, T, k].</param>
/// <param name="gates">[H, T, k]: the gates P of the chosen blocks, which are written.</param>
/// <param name="output">[T, H, d].</param>
internal sealed unsafe class CpuRetrievalRead<TLanes, T>(CpuRetrievalView view, long* chosen, float* gates, float* output)
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private const int MostTiles = 4;                    // of a span: longer ones find no more queries for a block, and outgrow the cache

    private readonly RetrievalSizes sizes = view.Sizes;
    private readonly RegularBlocks window = new(view.Sizes.Keys, view.Sizes.Queries, view.Sizes.Length, view.Sizes.Length);
    private readonly int d = view.Width;

    public void Run()
    {
        var tiles = (sizes.Queries + CpuTile.Lanes - 1) / CpuTile.Lanes;
        // The longer a span, the more of its queries choose the same block; but each thread needs one, better two.
        var span = Math.Clamp(view.Heads * tiles / (2 * TorchSharp.torch.get_num_threads()), 1, MostTiles);
        var spans = (tiles + span - 1) / span;
        var most = Math.Min(sizes.Queries, span * CpuTile.Lanes);
        var room = CpuRetrievalScratch.Size(most, view);
        var work = most * (sizes.K + ((long)sizes.Keys / sizes.Length) + 1) * view.Tokens * d * 2;
        CpuParallel.Each(view.Heads * spans, work, room, (row, memory) =>
        {
            var (head, part) = Math.DivRem(row, spans);
            var first = part * span * CpuTile.Lanes;
            var count = Math.Min(span * CpuTile.Lanes, sizes.Queries - first);
            Span(head, first, count, new CpuRetrievalScratch(memory, most, view));
        });
    }

    private void Span(int head, int first, int count, in CpuRetrievalScratch room)
    {
        var picks = chosen + ((((long)head * sizes.Queries) + first) * sizes.K);
        var places = new PicksByBlock(picks, count * sizes.K, sizes.InMemory, room);
        for (var at = 0; at < count; at += CpuTile.Lanes)
        {
            var lanes = Math.Min(CpuTile.Lanes, count - at);
            Window(head, first + at, lanes, room);
            Gate(head, first + at, lanes, picks + ((long)at * sizes.K), at, room);
        }
        for (var block = 0; block < sizes.InMemory; block++) Chosen(head, first, block, places, room);
    }

    /// <summary>The window's part of up to 64 queries' output, in columns, not divided by the gate's sum.</summary>
    private void Window(int head, int query, int count, in CpuRetrievalScratch room)
    {
        var (lanes, first) = (CpuTile.Padded(count), sizes.First + query);
        var last = first + count - 1;
        new Span<float>(room.Result, d * CpuTile.Lanes).Clear();
        new Span<float>(room.Highest, CpuTile.Lanes).Fill(float.NegativeInfinity);
        new Span<float>(room.Sums, CpuTile.Lanes).Clear();
        for (var n = 0; n <= window.Of(last); n++)
        {
            var block = new TileBlock(window, n, first, last);
            if (block.Tokens == 0) continue;
            for (var t = 0; t < count; t++)
            {
                var form = room.Rows + (t * d);
                if (first + t >= block.Start) view.Turn(head, query + t, -n, form);
                else new Span<float>(form, d).Clear();                                      // it stands before the block
            }
            CpuTile.ToColumns(room.Rows, d, count, d, 1, room.Forms);
            Matrix forms = CpuTile.Columns(room.Forms), scores = CpuTile.Columns(room.Scores);
            var keys = new Matrix(Keys(head, sizes.InMemory + n, block.Tokens, room), d);
            CpuProduct<TLanes, T>.Set(keys, block.Tokens, d, forms, lanes, scores);
            if (block.Keys > block.Tokens)
                CpuProduct<TLanes, T>.Set(
                    new Matrix(view.Landmark(head, sizes.InMemory + n), d), 1, d, forms, lanes,
                    CpuTile.Columns(room.Scores + (block.Tokens * CpuTile.Lanes)));
            CpuGate<TLanes, T>.Add(room.Scores, lanes, block, room.Highest, room.Sums, room.Factors);
            var values = new Matrix(Values(head, sizes.InMemory + n, block.Tokens, room), d);
            CpuProduct<TLanes, T>.Blend(values.Transposed, d, block.Tokens, scores, lanes, CpuTile.Columns(room.Result), room.Factors);
        }
    }

    /// <summary>
    /// Lets the chosen blocks into the gate by their landmarks, or shares the context-miss token's mass among them, and writes the window's
    /// part of the output as it stands in it.
    /// </summary>
    private void Gate(int head, int query, int count, long* picks, int at, in CpuRetrievalScratch room)
    {
        for (var t = 0; t < count; t++)
        {
            var gate = gates + ((((long)head * sizes.Queries) + query + t) * sizes.K);
            var miss = view.Miss;
            if (!view.Retrieves(head, 1, query + t))
            {
                new Span<float>(gate, sizes.K).Clear();
                room.Factors[t] = miss!.OfWindow(head, query + t) / room.Sums[t];
                continue;
            }
            var max = miss is null ? room.Highest[t] : float.NegativeInfinity;
            var chose = view.Count(chosen, head, query + t);
            new Span<float>(gate, sizes.K)[chose..].Clear();
            for (var r = 0; r < chose; r++)
            {
                var block = picks[(t * sizes.K) + r];
                var form = room.ChosenForms + (room.Places[((at + t) * sizes.K) + r] * d);
                view.TurnChosen(head, query + t, r, chose, block, form);
                gate[r] = CpuRows.Float32.Dot(form, view.Landmark(head, block), d);
                max = Math.Max(max, gate[r]);
            }
            var keep = miss is null ? MathF.Exp(room.Highest[t] - max) : 0;
            var sum = room.Sums[t] * keep;
            for (var r = 0; r < chose; r++) sum += gate[r] = MathF.Exp(gate[r] - max);
            if (miss is not null) sum /= miss.OfMemory(head, query + t);
            for (var r = 0; r < chose; r++) gate[r] /= sum;
            room.Factors[t] = miss is null ? keep / sum : miss.OfWindow(head, query + t) / room.Sums[t];
        }
        Scale(room.Result, room.Factors, d, CpuTile.Padded(count));
        CpuTile.Transpose(room.Result, CpuTile.Lanes, d, count, 1, Output(head, query), view.Heads * d);
    }

    /// <summary>Adds one block to the output of the queries that chose it.</summary>
    private void Chosen(int head, int first, int block, in PicksByBlock places, in CpuRetrievalScratch room)
    {
        var gate = gates + ((((long)head * sizes.Queries) + first) * sizes.K);
        for (int from = places.Start(block), next = places.Start(block + 1), count; from < next; from += count)
        {
            count = Math.Min(CpuTile.Lanes, next - from);
            var forms = room.ChosenForms + (from * d);
            if (count >= CpuRetrievalScratch.WorthATile) Tile(head, block, forms, count, room);
            else Rows(head, block, forms, count, room);
            for (var i = 0; i < count; i++)
            {
                var pick = places.Pick(from + i);
                var to = new Span<float>(Output(head, first + (pick / sizes.K)), d);
                TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(room.Rows + (i * d), d), gate[pick] * room.Factors[i], to, to);
            }
        }
    }

    /// <summary>Up to 64 queries read a block: Σ e^score · V by rows, and one over the sum of e^score among the factors.</summary>
    private void Tile(int head, int block, float* forms, int count, in CpuRetrievalScratch room)
    {
        var lanes = CpuTile.Padded(count);
        CpuTile.ToColumns(forms, d, count, d, 1, room.Forms);
        var scores = CpuTile.Columns(room.Scores);
        CpuProduct<TLanes, T>.Set(new Matrix(Keys(head, block, view.Tokens, room), d), view.Tokens, d, CpuTile.Columns(room.Forms), lanes, scores);
        Exponentials(room.Scores, view.Tokens, lanes, room.Factors);
        var values = new Matrix(Values(head, block, view.Tokens, room), d);
        CpuProduct<TLanes, T>.Set(values.Transposed, d, view.Tokens, scores, lanes, CpuTile.Columns(room.Result));
        CpuTile.Transpose(room.Result, CpuTile.Lanes, d, count, 1, room.Rows, d);
    }

    /// <summary>The same for a few queries, by rows throughout.</summary>
    private void Rows(int head, int block, float* forms, int count, in CpuRetrievalScratch room)
    {
        var step = CpuRows.Padded(view.Tokens);
        float* keyScales = view.KeyScales(head, block), valueScales = view.ValueScales(head, block);
        view.Rows.Dots(forms, count, view.Keys(head, block), view.Tokens, d, room.Scores, step, null);
        for (var i = 0; i < count; i++)
        {
            var scores = new Span<float>(room.Scores + (i * step), view.Tokens);
            if (keyScales != null) TensorPrimitives.Multiply(scores, new ReadOnlySpan<float>(keyScales, view.Tokens), scores);
            room.Factors[i] = 1 / view.Rows.Exponentials(room.Scores + (i * step), view.Tokens, out _);
            if (valueScales != null) TensorPrimitives.Multiply(scores, new ReadOnlySpan<float>(valueScales, view.Tokens), scores);
        }
        new Span<float>(room.Rows, count * d).Clear();
        view.Rows.AddRows(room.Scores, step, count, view.Values(head, block), view.Tokens, d, room.Rows, null);
    }

    /// <summary>A block's first keys as float32, [tokens, d].</summary>
    private float* Keys(int head, long block, int tokens, in CpuRetrievalScratch room) =>
        view.Rows.Widen(view.Keys(head, block), view.KeyScales(head, block), tokens, d, room.Widened);

    /// <summary>A block's first values as float32, [tokens, d], in the same room.</summary>
    private float* Values(int head, long block, int tokens, in CpuRetrievalScratch room) =>
        view.Rows.Widen(view.Values(head, block), view.ValueScales(head, block), tokens, d, room.Widened);

    private float* Output(int head, int query) => output + ((((long)query * view.Heads) + head) * d);

    /// <summary>Scores of a block as exponentials, and one over their sum for each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Exponentials(float* scores, int tokens, int lanes, float* factors)
    {
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            var s = scores + lane;
            var highest = TLanes.Load(s);
            for (var j = 1; j < tokens; j++) highest = TLanes.Max(highest, TLanes.Load(s + (j * CpuTile.Lanes)));
            var sum = TLanes.Fill(0);
            for (var j = 0; j < tokens; j++)
            {
                var at = s + (j * CpuTile.Lanes);
                var e = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(TLanes.Load(at), highest));
                sum = TLanes.Add(sum, e);
                TLanes.Store(e, at);
            }
            TLanes.Store(TLanes.Divide(TLanes.Fill(1), sum), factors + lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale(float* columns, float* factors, int rows, int lanes)
    {
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            var factor = TLanes.Load(factors + lane);
            for (var i = 0; i < rows; i++)
            {
                var at = columns + (i * CpuTile.Lanes) + lane;
                TLanes.Store(TLanes.Multiply(TLanes.Load(at), factor), at);
            }
        }
    }
}
