using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>The sizes of one retrieval.</summary>
/// <param name="InMemory">Blocks before the window, m.</param>
/// <param name="Keys">Positions of the window, the queries among them, S.</param>
/// <param name="Queries">Queries, T: the window's last positions.</param>
/// <param name="Length">Positions of a block, L.</param>
/// <param name="K">Blocks that a query chooses, at most m.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RetrievalSizes(int InMemory, int Keys, int Queries, int Length, int K)
{
    /// <summary>Blocks that share slot 0 when they are scanned; the last k have slots of their own.</summary>
    public int Old => InMemory - K;

    /// <summary>The window's place of the first query.</summary>
    public int First => Keys - Queries;
}

/// <summary>What retrieval on the CPU reads, as addresses. It does not keep the tensors alive.</summary>
/// <param name="q">[H, T, d], the numbers of a head one after another.</param>
/// <param name="blocks">[n, G, 2, ℓ, d], each block in one piece, of a type that <see cref="BlockType"/> allows.</param>
/// <param name="scales">[n, G, 2, ℓ], each block's in one piece, for int8.</param>
/// <param name="landmarks">[G, capacity, d], each head's in one piece.</param>
/// <param name="sizes">The sizes.</param>
/// <param name="rotary">The model's rotary embedding.</param>
internal sealed unsafe class CpuRetrievalView(
    Tensor q, Tensor blocks, Tensor? scales, Tensor landmarks, RetrievalSizes sizes, Rotary rotary)
{
    private readonly float* queries = (float*)Aten.DataPointer(q);
    private readonly byte* held = (byte*)Aten.DataPointer(blocks);
    private readonly float* factors = scales is null ? null : (float*)Aten.DataPointer(scales);
    private readonly float* marks = (float*)Aten.DataPointer(landmarks);
    private readonly long headStep = q.stride(0), rowStep = q.stride(1), markStep = landmarks.stride(0);
    private readonly long blockStep = blocks.stride(0) * blocks.element_size(), factorStep = scales is null ? 0 : scales.stride(0);
    private readonly float scale = (float)(rotary.ScoreScale / Math.Sqrt(rotary.HeadDim));
    private readonly float[] angles = rotary.Distances(sizes.Keys + ((sizes.K + 1) * sizes.Length) + 1);

    public RetrievalSizes Sizes => sizes;

    /// <summary>Who retrieves; null for a model without a context-miss token, where all do.</summary>
    public CpuMiss? Miss { get; set; }

    /// <summary>Told what was chosen, before it is read; null for nobody.</summary>
    public BlocksChosen? Choosing { get; init; }

    /// <summary>The share of the landmarks' softmax after which no more is chosen; 1 for k blocks always.</summary>
    public double Mass { get; init; } = 1;

    /// <summary>The inner loops over blocks.</summary>
    public CpuRows Rows { get; } = CpuRows.For(blocks.dtype);

    /// <summary>Query heads, H.</summary>
    public int Heads { get; } = (int)Aten.Sizes(q)[0];

    /// <summary>Key-value heads, G.</summary>
    public int Groups { get; } = (int)Aten.Sizes(blocks)[1];

    /// <summary>Regular tokens of a block, ℓ.</summary>
    public int Tokens { get; } = (int)Aten.Sizes(blocks)[3];

    /// <summary>Width of a head, d.</summary>
    public int Width { get; } = (int)Aten.Sizes(q)[2];

    /// <summary>A block's keys, [ℓ, d]; its values follow.</summary>
    public byte* Keys(int head, long block) => held + (block * blockStep) + (Row(head) * Width * Rows.Size);

    /// <summary>A block's values, [ℓ, d].</summary>
    public byte* Values(int head, long block) => Keys(head, block) + ((long)Tokens * Width * Rows.Size);

    /// <summary>What a block's keys are multiplied by, [ℓ]; null for nothing.</summary>
    public float* KeyScales(int head, long block) => factors == null ? null : factors + (block * factorStep) + Row(head);

    /// <summary>What a block's values are multiplied by, [ℓ]; null for nothing.</summary>
    public float* ValueScales(int head, long block) => factors == null ? null : KeyScales(head, block) + Tokens;

    /// <summary>A block's landmark key, [d]; those of the blocks after it follow.</summary>
    public float* Landmark(int head, long block) => marks + (Group(head) * markStep) + (block * Width);

    /// <summary>From one key-value head's landmark keys to the next one's.</summary>
    public nint LandmarkStep => (nint)markStep;

    /// <summary>The key-value head of a head.</summary>
    public int Group(int head) => head / (Heads / Groups);

    /// <summary>Tells whoever is to know what heads that share keys read next.</summary>
    public void Tell(int head, ReadOnlySpan<long> blocks)
    {
        Choosing?.Invoke(Group(head), blocks, now: false);
        Choosing?.Invoke(Group(head), blocks, now: true);
    }

    /// <summary>What a query chose of [H, T, k].</summary>
    public Span<long> Picks(long* chosen, int head, int t) => new(chosen + ((((long)head * sizes.Queries) + t) * sizes.K), sizes.K);

    /// <summary>How many those are: −1 stands after the last of fewer than k.</summary>
    public int Count(long* chosen, int head, int t) => Picks(chosen, head, t).IndexOf(-1) is >= 0 and var count ? count : sizes.K;

    /// <summary>Whether any of some heads retrieves for a query.</summary>
    public bool Retrieves(int first, int count, int t)
    {
        var any = Miss is null;
        for (var h = first; h < first + count && !any; h++) any = Miss!.Retrieves(h, t);
        return any;
    }

    /// <summary>
    /// A query in the form of a block that starts so many blocks before the window, scaled. A block stands a whole number of
    /// blocks before or after it, so that is one row of a table of angles.
    /// </summary>
    public void Turn(int head, int t, int blocksBefore, float* form) =>
        TurnFrom(head, t, sizes.First + t + (blocksBefore * sizes.Length), form);

    /// <summary>A query in the form of the context-miss token, which stands before the text's first block or, of more than k, the oldest slot.</summary>
    public void TurnToMiss(int head, int t, float* form) =>
        TurnFrom(head, t, sizes.First + t + (Math.Min(sizes.InMemory, sizes.K + 1) * sizes.Length) - (int)ContextMiss.Position, form);

    private void TurnFrom(int head, int t, int distance, float* form)
    {
        fixed (float* angle = &angles[distance * Width])
            CpuRotation.Turn(queries + (head * headStep) + (t * rowStep), angle, scale, Width, form);
    }

    /// <summary>What a query's own block brings to the gate: the logarithm of its sum.</summary>
    /// <param name="head">The query's head.</param>
    /// <param name="t">The query.</param>
    /// <param name="form">Room for [d].</param>
    /// <param name="scores">Room for the block's scores, <see cref="CpuRows.Padded"/>.</param>
    public float OwnLogit(int head, int t, float* form, float* scores)
    {
        var (own, place) = Math.DivRem(sizes.First + t, sizes.Length);
        var (block, count) = (sizes.InMemory + own, Math.Min(place + 1, Tokens));
        Turn(head, t, -own, form);
        Rows.Dots(form, 1, Keys(head, block), count, Width, scores, CpuRows.Padded(Tokens), null);
        if (KeyScales(head, block) is var factors && factors != null)
            for (var j = 0; j < count; j++) scores[j] *= factors[j];
        return MathF.Log(Rows.Exponentials(scores, count, out var highest)) + highest;
    }

    /// <summary>
    /// The r-th of a query's chosen blocks in the form of the slot that it is read in: old ones stand from the left of k + 1 slots,
    /// recent ones from the right.
    /// </summary>
    public void TurnChosen(int head, int t, int r, int count, long block, float* form) =>
        Turn(head, t, block >= sizes.Old ? count - r : sizes.K + 1 - r, form);

    /// <summary>Scores the last k landmarks before the window, each in its own slot.</summary>
    /// <param name="head">The first of some heads that share keys.</param>
    /// <param name="heads">How many those are.</param>
    /// <param name="t">The query.</param>
    /// <param name="forms">Room for [heads, d].</param>
    /// <param name="scores">[heads, m], of which the last k are written.</param>
    /// <param name="step">From one head's scores to the next one's.</param>
    public void ScanRecent(int head, int heads, int t, float* forms, float* scores, nint step)
    {
        var landmark = (byte*)Landmark(head, sizes.Old);
        for (var recent = 0; recent < sizes.K; recent++, landmark += Width * sizeof(float))
        {
            for (var h = 0; h < heads; h++) Turn(head + h, t, sizes.K - recent, forms + (h * Width));
            CpuRows.Float32.Dots(forms, heads, landmark, 1, Width, scores + sizes.Old + recent, step, null);
        }
    }

    /// <summary>The first row of a head in a block.</summary>
    private long Row(int head) => Group(head) * 2L * Tokens;
}
