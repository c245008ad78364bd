namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>What is refused is refused in one sentence.</summary>
internal static class Refusals
{
    public static void Says(Action action, string part)
    {
        var e = Assert.Throws<LandmarkException>(action);
        Assert.Contains(part, e.Message, StringComparison.Ordinal);
        Assert.EndsWith(".", e.Message);
        Assert.Matches("[;:,] ", e.Message);
        Assert.DoesNotMatch("[.!?] +[A-Z]|\n", e.Message);
    }
}
