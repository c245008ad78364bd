using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>The landmark's row of an embedding that is frozen otherwise.</summary>
internal sealed class LandmarkRow(string name, ModelConfig c, ParameterSource source)
{
    /// <summary>How the row's name ends, as PEFT has it: the values themselves, in spite of their name.</summary>
    public const string Suffix = ".token_adapter.trainable_tokens_delta";

    private readonly Tensor row = source(name + Suffix, [1, c.HiddenSize]);
    private readonly long id = c.Landmark!.Id;

    /// <summary>The row, [1, D].</summary>
    public Tensor Row => row;

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
