using System.Text;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Texts that are empty, no text, or not there, given to every command that reads one.</summary>
public sealed class BadTextTests(ToolModel model) : IClassFixture<ToolModel>
{
    private static readonly (byte[] Bytes, string Part)[] NoTexts =
    [
        ([], "is empty"),
        ("  \n\t \u00A0\n"u8.ToArray(), "holds nothing but white space"),
        ([0xEF, 0xBB, 0xBF], "holds nothing but white space"),
        ("MZ\0\0 and so on"u8.ToArray(), "is not text: byte 2 is NUL"),
        (Encoding.Latin1.GetBytes("Ça a été très agréable à Besançon."), "is not UTF-8 text: byte 0 (0xC7)"),
    ];

    [Theory]
    [InlineData("ask Why? --text")]
    [InlineData("generate --text")]
    [InlineData("perplexity --text")]
    [InlineData("recall --tokens 3000 --text")]
    [InlineData("tokenizer shards --out {0} --source a=")]
    public async Task AFileThatIsNoTextIsRefused(string line)
    {
        using var folder = new TemporaryFolder();
        var words = line.Replace("{0}", folder["shards"], StringComparison.Ordinal).Split(' ');
        var option = words[0] == "tokenizer" ? "--tokenizer" : "--model";
        var path = folder["text.txt"];
        foreach (var (bytes, part) in NoTexts)
        {
            File.WriteAllBytes(path, bytes);
            (await Run(path)).Says($"'{path}' {part}");
        }
        (await Run(folder["nowhere.txt"])).Says($"'{folder["nowhere.txt"]}'; check the path");
        // Those that take a folder of texts say what they miss in it.
        Directory.CreateDirectory(folder["empty"]);
        (await Run(folder["empty"])).Says(words[0] is "ask" or "generate" ? "is a folder; give a text file" : "holds no *.txt");
        Assert.False(Directory.Exists(folder["shards"]) && Directory.EnumerateFiles(folder["shards"]).Any());

        Task<ToolRun> Run(string text) => LandmarkTool.Run(
            [.. words[..^1], .. words[^1].EndsWith('=') ? [words[^1] + text] : (string[])[words[^1], text], option, model.Path]);
    }

    [Fact]
    public async Task AStandardInputThatIsNoTextIsRefused()
    {
        foreach (var (bytes, part) in NoTexts)
        {
            (await LandmarkTool.RunOn(bytes, "ask", "Why?", "--json")).SaysAsJson($"'Standard input' {part}");
            (await LandmarkTool.RunOn(bytes, "tokenizer", "encode", "--json")).SaysAsJson($"'Standard input' {part}");
        }
        (await LandmarkTool.Run("generate", "--text", "-")).Says("'Standard input' is empty");
        (await LandmarkTool.Run("tokenizer", "decode")).Says("'Standard input' is empty");
        (await LandmarkTool.RunOn("5 7 x" + new string('x', 100_000), "tokenizer", "decode")).Says("…' is no token");
    }

    [Fact]
    public async Task ATextOfOneTokenPredictsNothing()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.txt"], "");
        File.AppendAllText(folder["a.txt"], "\u200B");
        // A letter that the tokenizer does not have is three bytes, of which the last two are predicted: so a context of two has one.
        var score = await LandmarkTool.Run("perplexity", "--text", folder["a.txt"], "--context", "2", "--model", model.Path, "--json");
        Assert.Equal(2, score.Json.GetProperty("tokens").GetInt64());
    }
}
