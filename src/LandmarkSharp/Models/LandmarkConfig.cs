using LandmarkSharp.Attention;

namespace LandmarkSharp.Models;

/// <summary>What a landmark's place teaches and how text is generated after it (landmark-attention.md 2.2).</summary>
public enum LandmarkLoss
{
    /// <summary>
    /// Landmarks are no targets and predict nothing: the token before one predicts the first token after it.
    /// Generation samples from the logits of the token before the landmark.
    /// </summary>
    Ignored,

    /// <summary>
    /// The token before a landmark predicts the landmark, the landmark the next token.
    /// Generation feeds the landmark and samples from its logits.
    /// </summary>
    Predicted,

    /// <summary>
    /// Landmarks are no targets, but predict: both the token before one and the landmark predict the first token after it.
    /// Generation feeds the landmark and samples from its logits.
    /// </summary>
    Predicting,
}

/// <summary>The landmark side of a model: what its configuration adds to a plain decoder's.</summary>
public sealed record LandmarkConfig
{
    /// <summary>Token id of the landmark.</summary>
    public required int Id { get; init; }

    /// <summary>Regular tokens in a block, ℓ; with its landmark a block has ℓ + 1 positions.</summary>
    public required int BlockTokens { get; init; }

    /// <summary>Positions of a training window, landmarks counted.</summary>
    public required int TrainContext { get; init; }

    /// <summary>What landmarks' places taught.</summary>
    public LandmarkLoss Loss { get; init; } = LandmarkLoss.Ignored;

    /// <summary>Blocks read per query unless told otherwise, k.</summary>
    public int TopK { get; init; } = 4;

    /// <summary>Positions of the window at inference, landmarks counted; a multiple of the block's.</summary>
    public int WindowPositions { get; init; }

    /// <summary>Token id of the context-miss token (landmark-attention.md 1.7); null for a model without one.</summary>
    public int? MissId { get; init; }

    /// <summary>
    /// The mass of the context-miss token below which a query retrieves nothing, unless told otherwise; 0 where all retrieve.
    /// </summary>
    public double MissCutoff { get; init; }

    /// <summary>Tokens that are the model's own and no text's.</summary>
    public IReadOnlyList<int> OwnTokens => MissId is { } miss ? [Id, miss] : [Id];

    /// <summary>Positions in a block, L = ℓ + 1.</summary>
    public int BlockLength => BlockTokens + 1;

    /// <summary>Whether the state at a token predicts the next regular one, by what landmarks' places taught.</summary>
    /// <param name="token">The token, a landmark or not.</param>
    /// <param name="next">The one after it; null where it is not known yet.</param>
    public bool Predicts(int token, int? next) => token == Id ? Loss != LandmarkLoss.Ignored : Loss == LandmarkLoss.Ignored || next != Id;

    /// <summary>
    /// How texts are read: as the model says, or with other numbers of blocks. The window that the model says is made smaller
    /// where k + 1 slots and the window would not share the trained length (landmark-attention.md 3.2).
    /// </summary>
    /// <param name="topK">Blocks read per query; null for <see cref="TopK"/>.</param>
    /// <param name="windowBlocks">Blocks of the window, as many as asked for; null for the model's.</param>
    /// <exception cref="LandmarkException">A number is below 1.</exception>
    public RetrievalOptions Retrieval(int? topK = null, int? windowBlocks = null) => new RetrievalOptions
    {
        TopK = topK ?? TopK,
        MissCutoff = MissId is null ? null : MissCutoff,
        WindowBlocks = windowBlocks ?? (topK is { } k ? WindowBeside(k) : OwnWindow),
        IsTopKSet = topK is not null,                   // after the numbers, which say that they are set
        IsWindowSet = windowBlocks is not null,
    }.Checked();

    /// <summary>Other options of reading with another k: the window is made smaller as above, unless they set it.</summary>
    /// <param name="options">The options.</param>
    /// <param name="topK">Blocks read per query.</param>
    /// <exception cref="LandmarkException">It is below 1, or more than are kept.</exception>
    internal RetrievalOptions Retrieval(RetrievalOptions options, int topK) => (options.IsWindowSet
        ? options with { TopK = topK }
        : options with { TopK = topK, WindowBlocks = WindowBeside(topK), IsWindowSet = false }).Checked();

    /// <summary>
    /// How questions of memories are read where texts are read by some options: with twice the model's k, which answers more of them right
    /// (docs/memory.md). As texts are where k is set, where so many blocks are not kept, and where so many slots and the window do not share the
    /// trained length.
    /// </summary>
    /// <param name="options">The options.</param>
    internal RetrievalOptions MemoryRetrieval(RetrievalOptions options)
    {
        if (options.IsTopKSet || 2L * TopK > (options.KeepBlocks ?? TrainContext)) return options;
        var more = Retrieval(options, 2 * TopK);
        return Span(more) <= TrainContext ? more : options;
    }

    /// <summary>
    /// The positions that a query sees with stingy places: k + 1 slots and the window. More than
    /// <see cref="TrainContext"/> were not trained.
    /// </summary>
    public long Span(RetrievalOptions options) => ((long)options.TopK + 1 + options.WindowBlocks) * BlockLength;

    private int OwnWindow => Math.Max(1, WindowPositions / BlockLength);

    private int WindowBeside(int topK) => Math.Clamp((TrainContext / BlockLength) - topK - 1, 1, OwnWindow);
}
