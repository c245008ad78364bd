using System.CommandLine;
using LandmarkSharp.Attention;

namespace LandmarkSharp.Cli;

/// <summary>How blocks are found among many.</summary>
internal sealed class IndexOptions
{
    private readonly Option<string?> index = new("--index")
    {
        Description = "How blocks are found among many, on the CPU: exact (default), hierarchical, int8, faiss-flat, faiss-ivf or faiss-hnsw.",
        HelpName = "NAME",
    };

    private readonly Option<double?> effort = new("--index-effort")
    {
        Description = "How hard the index looks, above 0: more finds more of what scores highest and takes longer; 1 when not given.",
        HelpName = "X",
    };

    /// <summary>The options.</summary>
    public Option[] All => [index, effort];

    /// <summary>Whether one was given.</summary>
    public bool AreGiven(ParseResult parsed) => All.Any(o => parsed.GetResult(o) is { Implicit: false });

    /// <summary>Other options of reading, with these.</summary>
    public RetrievalOptions Of(RetrievalOptions others, ParseResult parsed) =>
        others with { Index = Named(parsed.GetValue(index)), IndexEffort = parsed.GetValue(effort) ?? 1 };

    /// <summary>The indexes by name.</summary>
    public static LandmarkIndex Named(string? name) => name switch
    {
        null or "exact" => LandmarkIndex.Exact,
        "hierarchical" => LandmarkIndex.Hierarchical,
        "int8" => LandmarkIndex.Int8,
        "faiss-flat" => LandmarkIndex.FaissFlat,
        "faiss-ivf" => LandmarkIndex.FaissIvf,
        "faiss-hnsw" => LandmarkIndex.FaissHnsw,
        _ => throw new LandmarkException(
            $"The index '{name}' is not known; there are exact, hierarchical, int8, faiss-flat, faiss-ivf and faiss-hnsw."),
    };
}
