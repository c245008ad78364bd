namespace LandmarkSharp.Training;

/// <summary>What the layers of a model that is trained anew are made of.</summary>
public enum Architecture
{
    /// <summary>RMS norms and SwiGLU, as a Llama.</summary>
    Llama,

    /// <summary>LayerNorms of a weight alone and an exact GELU, as the paper's model (section 4.1); written as a Starcoder 2.</summary>
    Gpt,
}
