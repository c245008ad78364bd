using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Low-rank adaptation (Hu et al., LoRA, 2021): matrices stay as they are, and α/r · B·A is learned beside them. The landmark's own
/// rows of the embeddings are always learned whole.
/// </summary>
public sealed record LoraOptions
{
    /// <summary>The matrices that can be adapted, by their last name.</summary>
    internal static readonly string[] AllTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>Rows of A and columns of B, r.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>α: what is learned is scaled by α/r.</summary>
    public double Alpha { get; init; } = 32;

    /// <summary>The matrices that are adapted, by their last name, such as q_proj; all seven unless given.</summary>
    public IReadOnlyList<string> Targets { get; init; } = AllTargets;

    internal double Scale => Alpha / Rank;

    /// <summary>Whether a matrix is adapted, given its name without <c>.weight</c>.</summary>
    internal bool Adapts(string name) => Targets.Contains(name[(name.LastIndexOf('.') + 1)..]);

    /// <summary>Whether a parameter is the adapter's, of A, B or a landmark's row.</summary>
    internal static bool IsAdapter(string parameter) =>
        parameter.EndsWith(LoraPair.A, StringComparison.Ordinal) || parameter.EndsWith(LoraPair.B, StringComparison.Ordinal)
        || parameter.EndsWith(LandmarkRow.Suffix, StringComparison.Ordinal);

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">A value is out of range.</exception>
    internal LoraOptions Checked(string where)
    {
        if (Rank < 1 || !(Alpha > 0) || Targets.Count == 0 || Targets.Any(t => !AllTargets.Contains(t)))
            throw new LandmarkException(
                $"{where}: lora needs a rank of 1 or more, an alpha above 0 and targets among {string.Join(", ", AllTargets)}; correct it.");
        return this;
    }
}

/// <summary>What is learned beside a matrix: x → α/r · (x·Aᵀ)·Bᵀ, two thin products in x's type. B begins as zero.</summary>
internal sealed class LoraPair(string name, int inputs, int outputs, LoraOptions options, ParameterSource source)
{
    /// <summary>How the names of A and B end, as PEFT has them.</summary>
    public const string A = ".lora_A.weight", B = ".lora_B.weight";

    private readonly Tensor a = source(name + A, [options.Rank, inputs]), b = source(name + B, [outputs, options.Rank]);

    public Tensor Forward(Tensor x) =>
        nn.functional.linear(nn.functional.linear(x, a.to(x.dtype)), b.to(x.dtype)) * options.Scale;
}

/// <summary>The landmark's row of an embedding that is frozen otherwise.</summary>
internal sealed class LandmarkRow(string name, ModelConfig c, ParameterSource source)
{
    /// <summary>How the row's name ends, as PEFT has it: the values themselves, in spite of their name.</summary>
    public const string Suffix = ".token_adapter.trainable_tokens_delta";

    private readonly Tensor row = source(name + Suffix, [1, c.HiddenSize]);
    private readonly long id = c.Landmark!.Id;

    /// <summary>Puts the row where landmarks are.</summary>
    /// <param name="x">[B, T, D].</param>
    /// <param name="tokens">[B, T].</param>
    public Tensor Embed(Tensor x, Tensor tokens) => where(tokens.eq(id).unsqueeze(-1), row.to(x.dtype), x);

    /// <summary>Puts the row's score where the landmark's is.</summary>
    /// <param name="logits">[..., V].</param>
    /// <param name="hidden">[..., D].</param>
    public Tensor Score(Tensor logits, Tensor hidden) =>
        logits.index_copy(-1, tensor(new[] { id }, device: logits.device), nn.functional.linear(hidden, row.to(hidden.dtype)));

    /// <summary>An embedding with another row for the landmark, in place of padding or after all.</summary>
    /// <param name="rows">[V, D].</param>
    /// <param name="id">The landmark.</param>
    /// <param name="row">[1, D].</param>
    /// <returns>[max(V, id + 1), D].</returns>
    public static Tensor Put(Tensor rows, long id, Tensor row)
    {
        var after = Math.Max(0, rows.shape[0] - id - 1);
        return cat([rows[..(int)id], row, rows.narrow(0, rows.shape[0] - after, after)]);
    }
}
