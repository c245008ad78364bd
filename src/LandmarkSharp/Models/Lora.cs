using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Low-rank adaptation (Hu et al., LoRA, 2021): matrices stay as they are, and α/r · B·A is learned beside them. The landmark's own
/// rows of the embeddings are always learned whole.
/// </summary>
public sealed record LoraOptions
{
    private const string Weight = ".weight";

    // By their last name: those of attention, and those of a feed-forward layer with a gate or, of a Starcoder 2, without.
    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    private static readonly string[] Gated = ["gate_proj", "up_proj", "down_proj"], Ungated = ["c_fc", "c_proj"];
    private static readonly string[] AllTargets = [.. Attention, .. Gated, .. Ungated];

    /// <summary>Rows of A and columns of B, r.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>α: what is learned is scaled by α/r.</summary>
    public double Alpha { get; init; } = 32;

    /// <summary>The matrices that are adapted, by their last name, such as q_proj; null for all of the model's layers.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>
    /// Bits of a number in the layers' matrices, which are frozen: 16 for the type of the activations, or 8 or 4, from which they are
    /// turned into that type as they are used.
    /// </summary>
    public int BaseBits { get; init; } = 16;

    internal double Scale => Alpha / Rank;

    /// <summary>The matrices of a model's layers.</summary>
    internal static IReadOnlyList<string> MatricesOf(ModelConfig model) => [.. Attention, .. model.IsGpt ? Ungated : Gated];

    /// <summary>The matrices of a model that are adapted.</summary>
    internal IReadOnlyList<string> TargetsIn(ModelConfig model) => Targets ?? MatricesOf(model);

    /// <summary>Whether a matrix is adapted, given its name without <c>.weight</c>.</summary>
    internal bool Adapts(string name) => (Targets ?? AllTargets).Contains(LastOf(name));

    /// <summary>Whether a parameter is a matrix that is held in fewer bits: those of layers, not the embeddings.</summary>
    internal bool Quantizes(string parameter) =>
        BaseBits < 16 && parameter.EndsWith(Weight, StringComparison.Ordinal) && AllTargets.Contains(LastOf(parameter[..^Weight.Length]));

    /// <summary>Whether a parameter is the adapter's, of A, B or a landmark's row.</summary>
    internal static bool IsAdapter(string parameter) =>
        parameter.EndsWith(LoraPair.A, StringComparison.Ordinal) || parameter.EndsWith(LoraPair.B, StringComparison.Ordinal)
        || parameter.EndsWith(LandmarkRow.Suffix, StringComparison.Ordinal);

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">A value is out of range.</exception>
    internal LoraOptions Checked(string where)
    {
        if (Rank < 1 || !(Alpha > 0) || Targets?.Count == 0 || Targets?.Any(t => !AllTargets.Contains(t)) == true)
            throw new LandmarkException(
                $"{where}: lora needs a rank of 1 or more, an alpha above 0 and targets among {string.Join(", ", AllTargets)}; correct it.");
        if (BaseBits is not (16 or 8 or 4))
            throw new LandmarkException(
                $"{where}: lora has base_bits {BaseBits}; give 8 or 4, or 16 for weights of the activations' type.");
        return this;
    }

    private static string LastOf(string name) => name[(name.LastIndexOf('.') + 1)..];
}

/// <summary>What is learned beside a matrix: x → α/r · (x·Aᵀ)·Bᵀ, two thin products in x's type. B begins as zero.</summary>
internal sealed class LoraPair(string name, int inputs, int outputs, LoraOptions options, ParameterSource source)
{
    /// <summary>How the names of A and B end, as PEFT has them.</summary>
    public const string A = ".lora_A.weight", B = ".lora_B.weight";

    private readonly Tensor a = source(name + A, [options.Rank, inputs]), b = source(name + B, [outputs, options.Rank]);

    /// <summary>A or B as training begins: as PEFT does, A even in a range and B zero.</summary>
    /// <param name="name">The parameter's.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="random">What draws A.</param>
    /// <returns>float32, on the CPU; null for another parameter.</returns>
    public static Tensor? Beginning(string name, long[] shape, Generator random) =>
        name.EndsWith(A, StringComparison.Ordinal) ? ((rand(shape, generator: random) * 2) - 1) / Math.Sqrt(shape[1])
        : name.EndsWith(B, StringComparison.Ordinal) ? zeros(shape)
        : null;

    public Tensor Forward(Tensor x) =>
        nn.functional.linear(nn.functional.linear(x, a.to(x.dtype)), b.to(x.dtype)) * options.Scale;
}
