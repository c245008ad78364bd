namespace LandmarkSharp.Memory.Files;

/// <summary>The model that a memory file belongs to: keys and values of one mean nothing to another.</summary>
/// <param name="Fingerprint">Tells the model's weights from others.</param>
/// <param name="Tokenizer">Tells its tokenizer from others.</param>
/// <param name="Layers">Layers of the decoder.</param>
/// <param name="Heads">Key-value heads, G.</param>
/// <param name="HeadDim">Width of a head, d.</param>
/// <param name="BlockTokens">Regular tokens of a block, ℓ.</param>
public sealed record MemoryModel(string Fingerprint, string Tokenizer, int Layers, int Heads, int HeadDim, int BlockTokens)
{
    /// <summary>Whether there can be such a model.</summary>
    internal bool IsPossible => Fingerprint is not null && Tokenizer is not null && Layers > 0 && Heads > 0 && HeadDim > 0 && BlockTokens > 0;

    /// <summary>Throws where a file is another model's.</summary>
    /// <exception cref="LandmarkException">It is; the message says in what they differ.</exception>
    internal void Require(string path, MemoryModel file)
    {
        if (file.Shape != Shape)
            throw new LandmarkException(
                $"{path} holds the memory of another model: it has {file.Shape}, and this one {Shape}; open it with the model that wrote it.");
        if (file.Fingerprint != Fingerprint)
            throw new LandmarkException(
                $"{path} holds the memory of another model: its fingerprint is {Brief(file.Fingerprint)}, and this one's {Brief(Fingerprint)}; "
                + "open it with the model that wrote it.");
        if (file.Tokenizer != Tokenizer)
            throw new LandmarkException(
                $"{path} was written with another tokenizer: its fingerprint is {Brief(file.Tokenizer)}, and this one's {Brief(Tokenizer)}; "
                + "open it with the tokenizer that wrote it.");
    }

    private string Shape => $"{Layers} layers, {Heads} key-value heads of {HeadDim} and blocks of {BlockTokens} tokens";

    private static string Brief(string fingerprint) => fingerprint.Length > 12 ? fingerprint[..12] + "…" : fingerprint;
}
