using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// <see cref="RetrievedAttention"/> in ordinary torch operators, of any type, on any device and for both rules of placing
/// blocks: what the kernels are compared with, and what runs where there is none.
/// </summary>
internal sealed class ReferenceRetrieval : IDisposable
{
    private readonly int inMemory, k;
    private readonly BlockLayout window;
    private readonly Rotary rotary;
    private readonly RetrievalOptions options;
    private readonly RotaryTable windowTable;
    private readonly RotaryTable? missTable;
    private readonly BlockPositions? positions;

    /// <summary>Computes what depends on places alone.</summary>
    /// <param name="inMemory">Blocks before the window, m.</param>
    /// <param name="window">The window's layout, this object's from here on: its queries are the last positions.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="options">k, who shares a choice, and where retrieved blocks are placed.</param>
    /// <param name="type">Type of the queries.</param>
    public ReferenceRetrieval(int inMemory, BlockLayout window, Rotary rotary, RetrievalOptions options, ScalarType type)
    {
        (this.inMemory, this.window, this.rotary, this.options) = (inMemory, window, rotary, options);
        using var scope = NewDisposeScope();
        var device = window.Visible.device;
        var place = arange(window.Keys - window.Queries, window.Keys, device: device);      // [T]: the queries' places in the window
        windowTable = rotary.Table(place.unsqueeze(1) - (arange(window.Blocks, device: device) * window.Columns), type).Keep(); // [T, N]
        k = Math.Min(options.TopK, inMemory);
        if (k > 0)
            positions = BlockPositions.Create(options.Positions, k, inMemory, window.Columns, place, rotary, type);
        if (options.MissCutoff is null) return;
        // The token stands before the text's first block, or where blocks share slots before the oldest of those.
        var before = options.Positions == PositionMode.True ? inMemory : Math.Min(inMemory, k + 1);
        missTable = rotary.Table(place + (before * window.Columns) - ContextMiss.Position, type).Keep();    // [T]
    }

    /// <inheritdoc cref="RetrievedAttention.Attend"/>
    public Retrieved Attend(
        Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales = null, Tensor? miss = null, BlocksChosen? choosing = null)
    {
        using var scope = NewDisposeScope();
        q = q * (rotary.ScoreScale / Math.Sqrt(rotary.HeadDim));
        var own = BlockType.Widen(                                                          // [N, G, 2, ℓ, d]
            blocks.narrow(0, inMemory, window.Blocks), scales?.narrow(0, inMemory, window.Blocks), q.dtype);
        var (inner, gate) = Window(q, own, landmarks);                                      // [1, H, T, N, ℓ], [1, H, T, N]
        if (miss is not null)
        {
            var gated = WithMiss(q, inner, gate, own, blocks, landmarks.narrow(1, 0, inMemory), tied, scales, miss, choosing);
            return gated with
            {
                Output = gated.Output.MoveToOuterDisposeScope(),
                Chosen = gated.Chosen?.MoveToOuterDisposeScope(),
                Gates = gated.Gates?.MoveToOuterDisposeScope(),
            };
        }
        if (positions is null)
        {
            var p = softmax(gate, -1) * window.GateVisible;
            return new Retrieved(Combine(inner, p, own).MoveToOuterDisposeScope(), null, null);
        }

        var keys = landmarks.narrow(1, 0, inMemory);                                        // [G, m, d]
        var forms = positions.Turn(q);
        var scores = positions.Scan(forms, keys, tied);
        var chosen = BlockSelection.Choose(scores, keys.shape[0], k, options.Selection, options.Reference);
        if (options.EndsByMass) chosen = BlockSelection.EndByMass(scores, chosen, keys.shape[0], options.Selection, options.Mass!.Value);
        Tell(choosing, chosen, 0, q.shape[0] / keys.shape[0]);
        var turned = positions.ForReading(forms, chosen);                                   // [H, T, k, d]
        var group = arange(q.shape[0], device: q.device).floor_divide(q.shape[0] / keys.shape[0]).view(-1, 1, 1);
        var read = options.EndsByMass
            ? ReadSome(turned, chosen, group, blocks, scales)
            : BlockRead.Read(turned, chosen, blocks, scales, options.Reference);
        var chosenKeys = keys.flatten(0, 1).index_select(0, (chosen.clamp_min(0) + (group * inMemory)).flatten()).view_as(turned);
        var chosenScores = (turned * chosenKeys).sum(-1).masked_fill(chosen.lt(0), double.NegativeInfinity);    // [H, T, k]

        var whole = softmax(cat([chosenScores.to(gate.dtype).unsqueeze(0), gate], -1), -1); // one gate over memory and window
        var remembered = whole.narrow(-1, 0, k).squeeze(0);
        var seen = whole.narrow(-1, k, gate.shape[3]) * window.GateVisible;
        var output = Combine(inner, seen, own) + (read * remembered.to(read.dtype).unsqueeze(-1)).sum(2);
        return new Retrieved(output.MoveToOuterDisposeScope(), chosen.MoveToOuterDisposeScope(), remembered.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        window.Dispose();
        windowTable.Dispose();
        missTable?.Dispose();
        positions?.Dispose();
    }

    /// <summary>
    /// With a context-miss token (landmark-attention.md 1.7): it competes with the window, and what is retrieved shares its mass. The
    /// mass is known before any landmark is scanned, and queries and heads of less than the cut-off are left out of all that follows.
    /// </summary>
    private Retrieved WithMiss(
        Tensor q, Tensor inner, Tensor gate, Tensor own, Tensor blocks, Tensor keys, bool tied, Tensor? scales, Tensor miss,
        BlocksChosen? choosing)
    {
        var (h, t, g, n) = (q.shape[0], q.shape[1], keys.shape[0], gate.shape[3]);
        var score = LandmarkAttention.Scores(missTable!.Rotate(q).unsqueeze(0), miss.unsqueeze(0).unsqueeze(2));    // [1, H, T, 1]
        var p = softmax(cat([gate, score.to(gate.dtype)], -1), -1);
        var output = Combine(inner, p.narrow(-1, 0, n) * window.GateVisible, own);          // [H, T, d]
        if (positions is null) return new Retrieved(output, null, null) { Dropped = 0 };

        var mass = p.select(-1, n).flatten();                                               // [H·T]
        var retrieves = mass.lt(options.Cutoff).logical_not_().view(h, t);
        var forms = positions.Turn(q);
        var chosen = full([h * t, k], -1, ScalarType.Int64, q.device);
        var gates = zeros([h * t, k], gate.dtype, q.device);
        var flat = output.contiguous().view(h * t, -1);
        var together = options.Selection switch                                             // heads that choose together
        {
            SelectionMode.PerTokenAndGroup => h / g,
            SelectionMode.PerToken => h,
            _ => 1,
        };
        for (long first = 0; first < h; first += together)
        {
            using var part = NewDisposeScope();
            var some = retrieves.narrow(0, first, together);                                // [H', T]
            var at = some.any(0).nonzero().flatten();                                       // [T']
            if (at.numel() == 0) continue;
            var (active, turned) = (some.index_select(1, at), forms.narrow(0, first, together).index_select(1, at));
            var group = arange(first, first + together, device: q.device).floor_divide(h / g).view(-1, 1, 1);
            var near = keys.narrow(0, first * g / h, Math.Max(1, together * g / h));
            var picks = BlockSelection.Choose(
                positions.Scan(turned, near, tied), near.shape[0], k, options.Selection, options.Reference, active);
            Tell(choosing, picks, first, h / g);
            var form = positions.ForReading(turned, picks);                                 // [H', T', k, d]
            var rows = active.flatten().nonzero().flatten();                                 // [R] of H'·T'
            Tensor Rows(Tensor x) => x.flatten(0, 1).index_select(0, rows);
            var (query, pick) = (Rows(form), Rows(picks));
            var key = keys.flatten(0, 1).index_select(0, Rows(picks + (group * inMemory)).flatten()).view_as(query);
            var home = Rows((arange(first, first + together, device: q.device).unsqueeze(1) * t) + at);     // [R] of H·T
            var shares = softmax((query * key).sum(-1).to(gate.dtype), -1) * mass.index_select(0, home).unsqueeze(1);
            var read = BlockRead.GatherRows(query, Rows((picks * g) + group), blocks, scales);
            flat.index_add_(0, home, (read * shares.to(read.dtype).unsqueeze(-1)).sum(1), 1);
            chosen.index_copy_(0, home, pick);
            gates.index_copy_(0, home, shares);
        }
        return new Retrieved(flat.view(q.shape), chosen.view(h, t, k), gates.view(h, t, k))
        {
            Dropped = (h * t) - retrieves.sum().item<long>(),
        };
    }

    private static void Tell(BlocksChosen? choosing, Tensor chosen, long first, long share)
    {
        if (choosing is null) return;
        using var there = chosen.cpu().contiguous();
        var heads = there.data<long>().ToArray().Chunk((int)(chosen.numel() / chosen.shape[0])).ToArray();
        foreach (var now in (ReadOnlySpan<bool>)[false, true])
            foreach (var (head, blocks) in heads.Index()) choosing((int)((first + head) / share), blocks, now);
    }

    /// <summary>Reads chosen blocks where queries have fewer than k: [H, T, k, d], zeros for −1.</summary>
    private static Tensor ReadSome(Tensor turned, Tensor chosen, Tensor group, Tensor blocks, Tensor? scales)
    {
        var some = chosen.ge(0).flatten().nonzero().flatten();                              // [R] of H·T·k
        var picks = ((chosen * blocks.shape[1]) + group).flatten().index_select(0, some).unsqueeze(1);
        var rows = turned.flatten(0, 2).index_select(0, some).unsqueeze(1);                 // [R, 1, d]
        var read = BlockRead.GatherRows(rows, picks, blocks, scales).squeeze(1);
        return zeros_like(turned).view(-1, turned.shape[3]).index_copy_(0, some, read).view_as(turned);
    }

    /// <summary>The grouped softmax over the window's blocks.</summary>
    private (Tensor Inner, Tensor Gate) Window(Tensor q, Tensor own, Tensor landmarks)
    {
        var (n, l, d, t) = (window.Blocks, own.shape[3], q.shape[2], q.shape[1]);
        var (h, g) = (q.shape[0], own.shape[1]);
        var turned = windowTable.Rotate(q.unsqueeze(2));                                    // [H, T, N, d]
        var queries = turned.permute(2, 0, 1, 3).reshape(n, g, h / g * t, d);               // [N, G, H/G·T, d]
        var keys = own.select(2, 0);                                                        // [N, G, ℓ, d]
        var marks = landmarks.narrow(1, inMemory, n).transpose(0, 1).unsqueeze(3);          // [N, G, d, 1]
        var scores = queries.matmul(keys.transpose(2, 3)).view(n, h, t, l).permute(1, 2, 0, 3).unsqueeze(0);
        var marked = queries.matmul(marks).view(n, h, t).permute(1, 2, 0).unsqueeze(0);     // [1, H, T, N]
        var wide = q.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        scores.add_(window.Bias(q.dtype).narrow(4, 0, l));
        return (softmax(scores, -1), GroupedSoftmax.Gate(scores, marked.to(wide), window));
    }

    /// <summary>Σ over the window's blocks of P_b · A_b · V_b: [H, T, d].</summary>
    private static Tensor Combine(Tensor inner, Tensor gate, Tensor own)
    {
        var weights = inner * gate.to(inner.dtype).unsqueeze(-1);                           // [1, H, T, N, ℓ]
        var values = own.select(2, 1).transpose(0, 1).flatten(1, 2).unsqueeze(0);
        return LandmarkAttention.Values(weights.flatten(3, 4), values).squeeze(0);          // values: [1, G, N·ℓ, d]
    }
}
