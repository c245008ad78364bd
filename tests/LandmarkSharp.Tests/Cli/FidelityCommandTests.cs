using System.Text.Json;
using System.Xml.Linq;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What <c>landmark fidelity</c> tells, of a model with blocks of 15 tokens, windows of two and 128 positions of training.</summary>
public sealed class FidelityCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    [Fact]
    public async Task ItTellsWhatTheLibraryMeasures()
    {
        var told = (await Run("--tokens", "300", "--top-k", "3", "1", "6", "--target", "0.999", "--json")).Json;
        Has(told, "tokens", "context", "window_blocks", "dense_loss", "dense_perplexity", "target", "k_for_mass", "k_for_agreement",
            "k_for_mass_by_layer", "by_k");
        using var engine = LandmarkEngine.Load(model.Path);
        // 128 positions hold 8 blocks of 15 tokens, of which the tokenizer's mark is one.
        var contexts = Perplexity.Contexts(engine.Tokenizer, File.OpenText(model.Text), 119).Take(3).ToArray();
        contexts[2] = contexts[2][..(300 - 238)];
        var fidelity = Fidelity.Measure(engine, contexts, [1, 3, 6]);
        Assert.Equal((119, fidelity.Readings[0].Prediction.Tokens), (told.GetProperty("context").GetInt32(), told.GetProperty("tokens").GetInt64()));
        Assert.Equal(fidelity.Smallest(r => r.Attention.PastShare >= 0.999), told.GetProperty("k_for_mass").GetInt32());
        Assert.Equal(6, told.GetProperty("k_for_mass").GetInt32());
        Assert.Equal([(0, 6), (1, 6)], told.GetProperty("k_for_mass_by_layer").EnumerateArray()
            .Select(l => (l.GetProperty("layer").GetInt32(), l.GetProperty("top_k").GetInt32())));
        foreach (var (reading, k) in fidelity.Readings.Zip(told.GetProperty("by_k").EnumerateArray()))
        {
            Has(k, "top_k", "attention", "prediction", "by_layer", "by_position");
            Assert.Equal(reading.TopK, k.GetProperty("top_k").GetInt32());
            Has(k.GetProperty("attention"), "blocks_read", "past_mass", "best_past_mass", "all_mass", "output_error");
            Assert.Equal(reading.Attention.PastShare, k.GetProperty("attention").GetProperty("past_mass").GetDouble(), 1e-5);
            Has(k.GetProperty("prediction"), "tokens", "kl_divergence", "agreement", "loss", "perplexity", "dense_loss", "dense_perplexity", "hidden_error");
            Assert.Equal(reading.Prediction.Divergence, k.GetProperty("prediction").GetProperty("kl_divergence").GetDouble(), 1e-5);
            Assert.Equal(2, k.GetProperty("by_layer").GetArrayLength());
            Assert.Equal([16, 32, 64], k.GetProperty("by_position").EnumerateArray().Select(p => p.GetProperty("from").GetInt32()));
        }
    }

    [Fact]
    public async Task PeopleGetTablesAndAPicture()
    {
        using var folder = new TemporaryFolder();
        var told = await Run("--tokens", "300", "--top-k", "1", "6", "--svg", folder["mass.svg"]);
        Assert.Equal((0, ""), (told.Code, told.Error));
        foreach (var part in (string[])["past mass", "k = 6", "k for 95 %", "32 to 63", "of the past mass: k = 6"])
            Assert.Contains(part, told.Output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.Equal(2, XElement.Load(folder["mass.svg"]).Elements().Count(e => e.Name.LocalName == "polyline"));
    }

    [Fact]
    public async Task WhatIsForgottenIsCompared()
    {
        // The model's own k is 2, and is not asked.
        var told = (await Run("--tokens", "119", "--keep-blocks", "1", "--top-k", "1", "--json")).Json;
        Assert.Equal(1, told.GetProperty("keep_blocks").GetInt32());
        (await Run("--keep-blocks", "1", "--top-k", "1", "3")).Says("Of 1 blocks kept before the window, k = 3");
    }

    [Fact]
    public async Task ChoicesEndByMass()
    {
        var whole = (await Run("--tokens", "119", "--top-k", "5", "--json")).Json.GetProperty("by_k")[0].GetProperty("attention");
        var told = (await Run("--tokens", "119", "--top-k", "5", "--mass", "0.6", "--json")).Json;
        Assert.Equal(0.6, told.GetProperty("mass").GetDouble());
        var ended = told.GetProperty("by_k")[0].GetProperty("attention");
        Assert.InRange(ended.GetProperty("blocks_read").GetDouble(), 1, whole.GetProperty("blocks_read").GetDouble() - 0.5);
        Assert.InRange(ended.GetProperty("past_mass").GetDouble(), 0.5, whole.GetProperty("past_mass").GetDouble() - 0.01);
        (await Run("--mass", "1.5")).Says("mass that is read is 1.5; it is above 0 and at most 1");
    }

    [Fact]
    public async Task MorePositionsThanWereTrainedAreWarnedOf()
    {
        var run = await Run("--tokens", "200", "--context", "200", "--top-k", "9", "--json");
        Assert.Equal(0, run.Code);
        string[] warnings = [.. run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => ToolRun.Parse(l).GetProperty("warning").GetString()!)];
        Assert.Contains("Contexts of 200 tokens take 213 positions", warnings[0], StringComparison.Ordinal);
        Assert.Contains("9 blocks and a window of 2 take 192 positions", warnings[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task ATextWithoutPastBlocksIsRefused()
    {
        (await Run("--tokens", "30")).Says("no block before it, so all is read anyway; give 31 tokens or more");
        using var plain = model.Copy();
        File.WriteAllLines(plain["config.json"],
            File.ReadLines(Path.Combine(model.Path, "config.json")).TakeWhile(l => !l.Contains("mem_id", StringComparison.Ordinal)).Append("\"bos_token_id\": 1 }"));
        (await LandmarkTool.Run("fidelity", "--text", model.Text, "--model", plain.Path)).Says("without landmarks reads all of its text");
    }

    private Task<ToolRun> Run(params string[] arguments) =>
        LandmarkTool.Run(["fidelity", "--text", model.Text, .. arguments, "--model", model.Path, "--threads", "1"]);

    private static void Has(JsonElement told, params string[] names) => Assert.Equal(
        names.Order(), told.EnumerateObject().Select(p => p.Name).Order());
}
