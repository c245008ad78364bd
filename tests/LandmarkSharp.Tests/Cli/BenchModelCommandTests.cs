namespace LandmarkSharp.Tests.Cli;

/// <summary>What the tool says of a whole model's tokens.</summary>
public sealed class BenchModelCommandTests
{
    [Fact]
    public async Task BenchModelTellsOfTokensAndOfTheirMemory()
    {
        string[] small = ["bench", "model", "--layers", "3", "--hidden", "32", "--intermediate", "48", "--vocabulary", "70", "--heads", "4",
            "--kv-heads", "2", "--head-dim", "8", "--block", "16", "--top-k", "3", "--device", "cpu", "--dtype", "float32"];
        var told = (await LandmarkTool.Run([.. small, "--tokens", "1000", "--steps", "5", "--json"])).Json;
        foreach (var name in (string[])["device", "threads", "layers", "top_k", "block", "dtype", "block_type", "host_blocks", "steps"])
            Assert.True(told.TryGetProperty(name, out _), $"no {name}");
        Assert.Equal(992, told.GetProperty("tokens").GetInt32());
        // Embedding and output, and in each layer projections of 4 + 2 + 2 + 4 heads, three of the feed-forward layer and two norms; a last norm.
        Assert.Equal((2 * 70 * 32) + (3 * 32 * ((12 * 8) + (3 * 48) + 2)) + 32, told.GetProperty("parameters").GetInt64());
        var (token, attention) = (told.GetProperty("token_ms").GetDouble(), told.GetProperty("attention_ms").GetDouble());
        Assert.True(token > 0 && attention > 0);
        Assert.Equal(0, told.GetProperty("card_cache_bytes").GetInt64());
        // Keys and values of 62 blocks and room for more, and their landmark keys, in three layers of two heads.
        Assert.InRange(told.GetProperty("host_cache_bytes").GetInt64(), 3 * 2 * 62 * 31 * 8 * 4, 3 * 2 * 70 * 31 * 8 * 4);
        var none = (await LandmarkTool.Run([.. small, "--tokens", "1000", "--steps", "5", "--block-type", "int8", "--json"])).Json;
        Assert.True(none.GetProperty("host_cache_bytes").GetInt64() < told.GetProperty("host_cache_bytes").GetInt64());
        (await LandmarkTool.Run([.. small, "--tokens", "100", "--steps", "0"])).Says("--steps must be at least 1");
        (await LandmarkTool.Run([.. small[..^2], "--tokens", "2000000000"])).Says("give fewer --layers or --tokens");
    }
}
