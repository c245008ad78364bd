using System.Text.Json.Nodes;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What the tool says of a model with a context-miss token, and of one without.</summary>
public sealed class ContextMissCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    [Fact]
    public async Task PerplexityTellsOfDroppedRetrievals()
    {
        using var copy = model.Copy();
        var config = JsonNode.Parse(File.ReadAllText(copy["config.json"]))!.AsObject();
        (config["context_miss_id"], config["inference"]!["miss_cutoff"]) = (4, 0.2);         // a byte that the text has not
        File.WriteAllText(copy["config.json"], config.ToJsonString());
        async Task<(double Loss, double Dropped, double Cutoff)> Score(params string[] options)
        {
            var told = (await LandmarkTool.Run(
                ["perplexity", "--text", model.Text, "--context", "300", "--contexts", "1", "--model", copy.Path, "--json", .. options])).Json;
            return (told.GetProperty("loss").GetDouble(), told.GetProperty("dropped_retrievals").GetDouble(), told.GetProperty("miss_cutoff").GetDouble());
        }
        var (all, own, none) = (await Score("--miss-cutoff", "0"), await Score(), await Score("--miss-cutoff", "1"));
        Assert.Equal((0, 0.2, 1), (all.Cutoff, own.Cutoff, none.Cutoff));
        Assert.Equal((0, 1), (all.Dropped, none.Dropped));
        Assert.InRange(own.Dropped, 0.01, 0.99);
        Assert.NotEqual(all.Loss, none.Loss, 1e-4);

        var run = await LandmarkTool.Run("ask", "Which key?", "--text", model.Text, "--model", copy.Path, "--max-tokens", "3", "--json");
        Assert.InRange(run.Lines[^1].GetProperty("dropped_retrievals").GetDouble(), 0, 1);
        (await LandmarkTool.Run("perplexity", "--text", model.Text, "--model", copy.Path, "--miss-cutoff", "1.3")).Says("a mass is from 0 to 1");
        var words = await LandmarkTool.Run("perplexity", "--text", model.Text, "--context", "300", "--contexts", "1", "--model", copy.Path);
        Assert.Contains("of the retrievals were dropped for the context-miss token", words.Output + words.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AModelWithoutTheTokenTakesNoCutoff() => (await LandmarkTool.Run(
        "perplexity", "--text", model.Text, "--model", model.Path, "--miss-cutoff", "0.3")).Says("is a model without a context-miss token");

    [Fact]
    public async Task BenchDropsRetrievalsOfSomeHeads()
    {
        string[] line = ["bench", "decode", "--tokens", "900", "--heads", "4", "--kv-heads", "2", "--head-dim", "16", "--top-k", "2", "--block", "8",
            "--repeats", "3", "--no-dense", "--device", "cpu"];
        var told = (await LandmarkTool.Run([.. line, "--dropped", "1", "--json"])).Json;
        Assert.Equal(1, told.GetProperty("dropped").GetInt32());
        Assert.Equal("CPU", told.GetProperty("timings")[0].GetProperty("backend").GetString());
        (await LandmarkTool.Run([.. line, "--dropped", "3"])).Says("of 3 of 2 key-value heads cannot be dropped");
    }
}
