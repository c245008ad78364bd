using System.Text.Json;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What <c>landmark recall</c> asks and what it tells of it.</summary>
public sealed class RecallCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    [Fact]
    public async Task ItTellsOfEachFamily()
    {
        var told = (await Run("--tokens", "3000", "--trials", "4")).Json;
        Has(told, "tokens", "trials", "correct", "accuracy", "window_only", "prefill_seconds", "decode_ms_per_token", "peak_rss_mb",
            "by_family", "per_trial");
        Assert.Equal([("key", null, 3), ("keys", null, 1)], Families(told));
        Has(told.GetProperty("by_family")[0], "family", "trials", "correct", "accuracy");
        Assert.Equal("keys", told.GetProperty("per_trial")[3].GetProperty("family").GetString());
    }

    [Fact]
    public async Task ItAsksTheFamiliesNamed()
    {
        var told = (await Run("--tokens", "3000", "--trials", "3", "--family", "chain")).Json;
        Assert.Equal([("chain", true, 2), ("chain", false, 1)], Families(told));
        foreach (var trial in told.GetProperty("per_trial").EnumerateArray())
        {
            Has(trial, "trial", "family", "in_steps", "needle_first_token", "needle_last_token", "needle_blocks", "expected",
                "answer", "correct", "prefill_seconds", "decode_ms_per_token", "blocks", "blocks_read");
            // Blocks of 15 letters: each statement takes two or more, and there is much between the two.
            int[] blocks = [.. trial.GetProperty("needle_blocks").EnumerateArray().Select(b => b.GetInt32())];
            Assert.Equal((trial.GetProperty("needle_first_token").GetInt32() + 1) / 15, blocks[0]);
            Assert.Equal((trial.GetProperty("needle_last_token").GetInt32() + 1) / 15, blocks[^1]);
            Assert.Contains(blocks.Zip(blocks.Skip(1)), p => p.Second > p.First + 1);
        }
        var both = (await Run("--tokens", "3000", "--trials", "4", "--family", "record", "--family", "keys")).Json;
        Assert.Equal([("keys", null, 3), ("record", null, 1)], Families(both));
    }

    private static IEnumerable<(string?, bool?, int)> Families(JsonElement told) => told.GetProperty("by_family").EnumerateArray()
        .Select(f => (f.GetProperty("family").GetString(), f.TryGetProperty("in_steps", out var way) ? way.GetBoolean() : (bool?)null,
            f.GetProperty("trials").GetInt32()));

    [Fact]
    public async Task PeopleAreToldOfBothWaysAndBothPlaces()
    {
        var told = await LandmarkTool.Run(
            "recall", "--tokens", "3000", "--trials", "2", "--family", "chain", "--model", model.Path, "--threads", "1");
        Assert.Matches(@"needle at token [\d,]+ \(\d+ %\)\s+and\s+[\d,]+ \(\d+ %\),", told.Output);
        Assert.Matches(@"\d of 1 right: chain, in steps\s+\d of 1 right: chain, at once", told.Output);
    }

    private Task<ToolRun> Run(params string[] arguments) => LandmarkTool.Run(
        ["recall", .. arguments, "--model", model.Path, "--threads", "1", "--json"]);

    private static void Has(JsonElement told, params string[] names) => Assert.Equal(
        names.Order(), told.EnumerateObject().Select(p => p.Name).Order());
}
