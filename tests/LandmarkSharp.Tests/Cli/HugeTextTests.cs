using System.Text;
using ZstdSharp;

namespace LandmarkSharp.Tests.Cli;

/// <summary>
/// Files of a gigabyte. What would not fit in memory is refused before it is read; what is read piece by piece works, in a
/// heap that has no room for the file (see <see cref="LandmarkTool"/>).
/// </summary>
public sealed class HugeTextTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private const int Gigabyte = 1_000_000_000;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task ABinaryFileIsRefused()
    {
        using (var file = File.Create(folder["sparse.txt"])) file.SetLength(Gigabyte);
        (await LandmarkTool.Run("ask", "Why?", "--text", folder["sparse.txt"], "--model", model.Path))
            .Says("sparse.txt' is not text: byte 0 is NUL");
        (await LandmarkTool.Run("verify", folder["sparse.txt"])).Says("sparse.txt is not a whole safetensors file");
    }

    [Fact]
    public async Task ATextIsRefusedWhereItWouldNotFitAndReadWhereItNeedNot()
    {
        var text = folder["huge.txt"];
        Write(text);
        // 4 KB a letter, and there are a billion.
        const string part = "huge.txt' of about 1,000,";
        (await Run("ask", "Why?")).Says(part);
        (await Run("generate")).Says("GB of memory (4,233 bytes each), and");
        (await Run("perplexity", "--json")).SaysAsJson(part);
        (await Run("perplexity", "--context", "900000000", "--plain")).Says("of about 900,000,000 tokens");

        var score = (await Run("perplexity", "--context", "64", "--contexts", "2", "--json")).Json;
        Assert.Equal(126, score.GetProperty("tokens").GetInt64());
        Assert.Equal(1, (await Run("recall", "--tokens", "3000", "--trials", "1", "--json")).Json.GetProperty("trials").GetInt32());

        Task<ToolRun> Run(string command, params string[] more) => LandmarkTool.Run(
            [command, .. more, "--text", text, "--model", model.Path, "--threads", "1"]);
    }

    [Fact]
    public async Task APromptThatWouldNotFitIsRefused()
    {
        (await LandmarkTool.Run("passkey", "--tokens", $"{int.MaxValue}", "--model", model.Path))
            .Says("a text of about 2,147,483,647 tokens takes");
        (await LandmarkTool.Run("recall", "--tokens", $"{int.MaxValue}", "--model", model.Path, "--json"))
            .SaysAsJson("a text of about 2,147,483,647 tokens takes");
    }

    /// <summary>Half a gigabyte of rows, packed into little.</summary>
    [Fact]
    public async Task TokenShardsAreMadeOfMoreTextThanFitsInMemory()
    {
        const int rows = 120_000;
        var row = Encoding.UTF8.GetBytes(
            $$"""{"id": 1, "text": "{{string.Concat(Enumerable.Repeat("The grass is green, and the sky is blue. ", 100))}}"}""" + "\n");
        using (var packed = new CompressionStream(File.Create(folder["huge.jsonl.zst"]), leaveOpen: false))
            for (var i = 0; i < rows; i++) packed.Write(row);
        var told = (await LandmarkTool.Run(
            "tokenizer", "shards", "--out", folder["shards"], "--source", "huge=" + folder["huge.jsonl.zst"], "--json")).Json;
        Assert.Equal(rows, told.GetProperty("sources")[0].GetProperty("documents").GetInt64());
        Assert.Equal(8L * rows, new FileInfo(Path.Combine(folder["shards"], "huge.docs")).Length);
    }

    private static void Write(string path)
    {
        var chunk = new byte[10_000_000];
        for (var i = 0; i < chunk.Length; i++) chunk[i] = "The grass is green, and the sky is blue.\n"u8[i % 41];
        using var file = File.Create(path);
        for (var i = 0; i < Gigabyte / chunk.Length; i++) file.Write(chunk);
    }
}
