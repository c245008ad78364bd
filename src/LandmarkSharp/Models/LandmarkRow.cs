using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>The rows of an embedding, frozen otherwise, that are the model's own tokens': the landmark's, and a context-miss token's.</summary>
internal sealed class LandmarkRow(string name, ModelConfig c, ParameterSource source)
{
    /// <summary>How the rows' name ends, as PEFT has it: the values themselves, in spite of their name.</summary>
    public const string Suffix = ".token_adapter.trainable_tokens_delta";

    /// <summary>The matrices that have rows of tokens.</summary>
    public static readonly string[] Embeddings = ["model.embed_tokens.weight", "lm_head.weight"];

    private readonly IReadOnlyList<int> ids = c.Landmark!.OwnTokens;
    private readonly Tensor rows = source(name + Suffix, [c.Landmark!.OwnTokens.Count, c.HiddenSize]);

    /// <summary>The rows, [n, D].</summary>
    public Tensor Rows => rows;

    /// <summary>Puts the rows where their tokens are.</summary>
    /// <param name="x">[B, T, D].</param>
    /// <param name="tokens">[B, T].</param>
    public Tensor Embed(Tensor x, Tensor tokens)
    {
        for (var i = 0; i < ids.Count; i++) x = where(tokens.eq(ids[i]).unsqueeze(-1), rows[i].to(x.dtype), x);
        return x;
    }

    /// <summary>Puts the rows' scores where their tokens' are.</summary>
    /// <param name="logits">[..., V].</param>
    /// <param name="hidden">[..., D].</param>
    public Tensor Score(Tensor logits, Tensor hidden) =>
        logits.index_copy(
            -1, tensor(ids.Select(i => (long)i).ToArray(), device: logits.device), nn.functional.linear(hidden, rows.to(hidden.dtype)));

    /// <summary>An embedding with other rows for such tokens, in place of padding or after all.</summary>
    /// <param name="rows">[V, D].</param>
    /// <param name="ids">The tokens, ascending; none skips a row that is not there.</param>
    /// <param name="own">[n, D].</param>
    /// <returns>[max(V, last id + 1), D].</returns>
    public static Tensor Put(Tensor rows, IReadOnlyList<int> ids, Tensor own)
    {
        for (var i = 0; i < ids.Count; i++)
        {
            var after = Math.Max(0, rows.shape[0] - ids[i] - 1);
            rows = cat([rows[..ids[i]], own.narrow(0, i, 1), rows.narrow(0, rows.shape[0] - after, after)]);
        }
        return rows;
    }
}
