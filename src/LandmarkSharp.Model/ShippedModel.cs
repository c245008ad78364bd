namespace LandmarkSharp;

/// <summary>The model that ships: landmark-10m, 10.1 M parameters, which finds what a text says in so many words.</summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load(ShippedModel.Folder);
/// </code>
/// </example>
public static class ShippedModel
{
    /// <summary>Its folder, in Hugging Face's layout, beside the program.</summary>
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "models", "landmark-10m");
}
