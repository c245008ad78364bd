using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Who shares a choice of blocks (the paper's Table 2; landmark-attention.md 3.3). Scores are softmaxed
/// over landmarks first.
/// </summary>
public enum SelectionMode
{
    /// <summary>Each token and each group of query heads that share a key-value head choose: the maximum over the group.</summary>
    PerTokenAndGroup,

    /// <summary>Each token and each query head choose for themselves: the paper's most permissive mode.</summary>
    PerTokenAndHead,

    /// <summary>Each token chooses, for all heads: the maximum over heads.</summary>
    PerToken,

    /// <summary>Each head chooses, for all tokens of the piece computed at once: the maximum over tokens.</summary>
    PerHead,
}

/// <summary>Where retrieved blocks are placed.</summary>
public enum PositionMode
{
    /// <summary>In the k+1 slots before the window, in order: for models trained on short windows (landmark-attention.md 3.2).</summary>
    Stingy,

    /// <summary>Where they stand in the text: for models trained on long ones.</summary>
    True,
}

/// <summary>How the landmarks that score highest are found (docs/index.md).</summary>
public enum LandmarkIndex
{
    /// <summary>All are scored.</summary>
    Exact,

    /// <summary>Those near in key stand together in nodes, and the nodes that promise most are scored.</summary>
    Hierarchical,

    /// <summary>FAISS scores all.</summary>
    FaissFlat,

    /// <summary>FAISS scores the lists whose centres score highest.</summary>
    FaissIvf,

    /// <summary>FAISS walks a graph of neighbours.</summary>
    FaissHnsw,

    /// <summary>All are scored by copies in int8, and those that score highest again as they are.</summary>
    Int8,
}

/// <summary>How a text longer than the window is read.</summary>
public sealed record RetrievalOptions
{
    /// <summary>Blocks read per query, k ≥ 1. One that is set holds for questions of memories too, which else may read more.</summary>
    public int TopK { get; init => (field, IsTopKSet) = (value, true); } = 4;

    /// <summary>Whether k was asked for.</summary>
    internal bool IsTopKSet { get; init; }

    /// <summary>
    /// The share of the landmarks' softmax, above 0, after which a query chooses no more blocks: the highest ones until they have it, as many
    /// as the one needs that needs most where a choice is shared, and <see cref="TopK"/> at most (landmark-attention.md 3.3). Null or 1
    /// for k always.
    /// </summary>
    public double? Mass { get; init; }

    /// <summary>Whether <see cref="Mass"/> says how many blocks are read.</summary>
    internal bool EndsByMass => Mass < 1;

    /// <summary>What a sum is compared with: from 1 on no choice ends before k.</summary>
    internal double Enough => EndsByMass ? BlockSelection.EnoughOf(Mass!.Value) : 1;

    /// <summary>Who shares a choice.</summary>
    public SelectionMode Selection { get; init; } = SelectionMode.PerTokenAndGroup;

    /// <summary>Where retrieved blocks are placed.</summary>
    public PositionMode Positions { get; init; } = PositionMode.Stingy;

    /// <summary>
    /// Blocks of the window: a query sees all blocks since the last multiple of this, and retrieves from those before.
    /// The borders stand at fixed places of the text, so the result depends neither on how the text was cut into calls
    /// nor on whether a token was read or generated. Stingy positions need (k + 1 + this) blocks within the trained length.
    /// </summary>
    public int WindowBlocks { get; init => (field, IsWindowSet) = (value, true); } = 3;

    /// <summary>Whether the window was asked for, so that it does not give way to slots.</summary>
    internal bool IsWindowSet { get; init; }

    /// <summary>
    /// Blocks before the window that can be chosen, at least <see cref="TopK"/>; all when null. Of more the oldest are forgotten, which
    /// saves no memory, and those kept are read as if the text began with them (landmark-attention.md 3.4).
    /// </summary>
    public int? KeepBlocks { get; init; }

    /// <summary>
    /// As the official code does: what is computed at once is the window, and every complete block goes to the memory right
    /// after it. Then the result depends on the pieces. For comparison with it.
    /// </summary>
    public bool WindowIsCall { get; init; }

    /// <summary>
    /// What keys and values in memory are kept as, those of the window too: the model's type when null. A float32 model on the CPU
    /// may keep bfloat16, or int8 with a float32 scale for each token's key or value of a head; both are read as they lie, but with
    /// <see cref="PositionMode.True"/> by torch operators, which widen what they read and take several times longer. Landmark keys
    /// keep the model's type, so which blocks a query chooses of those held does not depend on it. A row with NaN or an infinity is
    /// read as NaN where it is int8; one whose magnitudes all lie below 1.5·10⁻³⁶ as zeros.
    /// </summary>
    public ScalarType? BlockType { get; init; }

    /// <summary>
    /// Keeps keys and values of a model on a card in this machine's memory, pinned, from where the card reads what is chosen over the bus;
    /// landmark keys stay on the card. For texts that its memory does not hold. On the CPU they lie there anyway.
    /// </summary>
    public bool HostBlocks { get; init; }

    /// <summary>
    /// The mass of the context-miss token below which a query and head retrieve nothing (the paper's appendix D, landmark-attention.md 1.7);
    /// 0 retrieves always, 1 never. Null for a model without such a token.
    /// </summary>
    public double? MissCutoff { get; init; }

    /// <summary>What a mass is compared with: one that rounds to 1 is no reason to retrieve where nothing shall be.</summary>
    internal double Cutoff => MissCutoff is 1 ? double.PositiveInfinity : MissCutoff ?? 0;

    /// <summary>
    /// How blocks are found among many: of what an index finds, landmarks are scored and blocks chosen as without one. For float32 models on
    /// the CPU, stingy positions, and tokens that choose k blocks each by themselves, among all there are.
    /// </summary>
    public LandmarkIndex Index { get; init; }

    /// <summary>
    /// How hard an index looks, above 0: 1 is what each was measured with, more finds more of what scores highest and takes longer.
    /// </summary>
    public double IndexEffort { get; init; } = 1;

    /// <summary>Forces the reference operators where a fast path exists; for tests.</summary>
    public bool Reference { get; init; }

    /// <summary>What there is among these options that no index serves, in words; null for nothing.</summary>
    private string? Unindexed => this switch
    {
        { EndsByMass: true } => "choices that end by mass, which need the scores of all landmarks",
        { Selection: SelectionMode.PerToken or SelectionMode.PerHead } => "choices that are shared by tokens or by all heads",
        { Positions: PositionMode.True } => "blocks at their true positions",
        { KeepBlocks: not null } => "blocks that are forgotten",
        { Reference: true } => "the reference operators",
        _ => null,
    };

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">A number is below 1, fewer blocks are kept than read, a mass is none, or two options do not go together.</exception>
    public RetrievalOptions Checked()
    {
        if (TopK < 1) throw new LandmarkException($"The number of blocks read, k, is {TopK}; it must be at least 1.");
        if (WindowBlocks < 1) throw new LandmarkException($"The window has {WindowBlocks} blocks; it must have at least 1.");
        if (KeepBlocks < TopK)
            throw new LandmarkException($"Of {KeepBlocks} blocks kept before the window, k = {TopK} cannot be read; keep at least that many.");
        if (MissCutoff is not (null or >= 0 and <= 1))
            throw new LandmarkException($"The context-miss cut-off is {MissCutoff}; a mass is from 0 to 1.");
        if (Mass is not (null or > 0 and <= 1))
            throw new LandmarkException($"The share of the landmarks' mass that is read is {Mass}; it is above 0 and at most 1.");
        if (Mass is not null && MissCutoff is not null)
            throw new LandmarkException("A model with a context-miss token reads k blocks or none; leave out the share of the mass that is read.");
        if (!(IndexEffort > 0) || !double.IsFinite(IndexEffort))
            throw new LandmarkException($"The effort of an index is {IndexEffort}; it is above 0, and 1 is usual.");
        if (Index == LandmarkIndex.Exact && IndexEffort != 1)
            throw new LandmarkException("Without an index its effort does nothing; name an index, or leave the effort out.");
        if (Index != LandmarkIndex.Exact && Unindexed is { } unindexed)
            throw new LandmarkException($"An index of landmarks does not go with {unindexed}; leave one of them out.");
        return this;
    }
}
