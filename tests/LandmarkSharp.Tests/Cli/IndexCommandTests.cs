using System.Text.Json;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What the tool does with an index of landmarks.</summary>
public sealed class IndexCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    /// <summary>Keys are read once, kept, and measured at any number.</summary>
    [Fact]
    public async Task BenchIndexTellsOfEachIndexAtEachNumber()
    {
        using var folder = new TemporaryFolder();
        var (text, keys) = (folder["long.txt"], folder["keys.safetensors"]);
        await File.WriteAllTextAsync(text, string.Concat(Enumerable.Range(0, 800).Select(i => $"Box {i} holds the key {i * 37 % 1009}. ")), TestContext.Current.CancellationToken);
        string[] asked = ["--landmarks", "1k", "2.5k", "--index", "exact", "hierarchical", "--json"];
        var first = await Bench(["--text", text, "--read", "1000", "--keys", keys, .. asked]);
        Assert.Equal([(1000, "Exact"), (1000, "Hierarchical"), (2500, "Exact"), (2500, "Hierarchical")],
            first.Select(r => (r.GetProperty("landmarks").GetInt32(), r.GetProperty("index").GetString())));
        foreach (var result in first)
        {
            Assert.True(result.GetProperty("token_microseconds").GetDouble() > 0);
            Assert.True(result.GetProperty("pass_microseconds").GetDouble() > 0);
            Assert.InRange(result.GetProperty("recall").GetDouble(), 0.2, 1);
        }
        Assert.Equal([false, false, false, true], first.Select(r => r.GetProperty("bytes_each").GetDouble() > 0));   // 1,000 are too few for nodes
        Assert.Equal([1, 1, 1], first.Take(3).Select(r => r.GetProperty("recall").GetDouble()));
        var again = await Bench(["--keys", keys, .. asked]);
        Assert.Equal(first.Select(Recall), again.Select(Recall));

        var (said, wrong) = (await LandmarkTool.Run("bench", "index", "--model", model.Path, "--keys", keys, "--layers", "7"),
            await LandmarkTool.Run("bench", "index", "--model", model.Path, "--text", model.Text));
        said.Says("There is no layer 7; the model has 0 to 1.");
        wrong.Says("The texts have 0 landmarks in pieces of 1,024 blocks, and 16,384 are to be read");
        (await LandmarkTool.Run("bench", "index", "--keys", keys)).Says("has keys and queries of a model of other shapes");

        async Task<JsonElement[]> Bench(string[] options) =>
            [.. (await LandmarkTool.Run(["bench", "index", "--model", model.Path, .. options])).Json.GetProperty("results").EnumerateArray()];
        double Recall(JsonElement result) => result.GetProperty("recall").GetDouble();
    }

    /// <summary>A text too short for nodes is read as without an index.</summary>
    [Fact]
    public async Task ShortTextsAreReadAsWithout()
    {
        string[] score = ["perplexity", "--model", model.Path, "--text", model.Text, "--json"];
        var (without, with) = (await LandmarkTool.Run(score), await LandmarkTool.Run([.. score, "--index", "hierarchical", "--index-effort", "0.5"]));
        Assert.Equal(without.Json.GetProperty("loss").GetDouble(), with.Json.GetProperty("loss").GetDouble(), 1e-6);
    }
}
