namespace LandmarkSharp.Tests;

/// <summary>The golden cases, where the build puts them.</summary>
internal static class Golden
{
    public static string Path(params string[] parts) =>
        System.IO.Path.Combine([AppContext.BaseDirectory, "golden", .. parts]);

    public static TheoryData<string> AttentionFiles => [.. Directory.EnumerateFiles(Path("attention"), "*.safetensors")
        .Select(f => System.IO.Path.GetFileName(f)).Order(StringComparer.Ordinal)];
}
