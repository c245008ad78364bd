using System.CommandLine;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary>What the benchmarks' commands have in common.</summary>
internal static class BenchOptions
{
    /// <summary>Types of tensors by the names they are asked for by.</summary>
    public static IReadOnlyDictionary<string, torch.ScalarType> Types { get; } = new Dictionary<string, torch.ScalarType>
    {
        ["float32"] = torch.ScalarType.Float32,
        ["bfloat16"] = torch.ScalarType.BFloat16,
        ["float16"] = torch.ScalarType.Float16,
    };

    /// <summary>A number and what it is when not given.</summary>
    public static Option<int> Number(string name, int value, string description) =>
        new(name) { Description = description, DefaultValueFactory = _ => value, HelpName = "N" };

    /// <summary>Throws when there is nothing to measure.</summary>
    public static void Check(int repeats, int[] lengths)
    {
        if (repeats < 1) throw new LandmarkException($"The number of repeats is {repeats}; it must be at least 1.");
        if (lengths.FirstOrDefault(n => n < 1, 1) is < 1 and var wrong)
            throw new LandmarkException($"A sequence of {wrong} positions has no attention; --tokens must be at least 1.");
    }
}
