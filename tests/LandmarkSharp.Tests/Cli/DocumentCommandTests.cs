using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Text.Documents;

namespace LandmarkSharp.Tests.Cli;

/// <summary>HTML, EPUB and PDF given to the commands that read documents.</summary>
public sealed class DocumentCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    private const string Said = "The key is in box 7";

    private static readonly byte[] Pdf = Made.Pdf([(60, 700, Said)]);

    [Fact]
    public async Task AMemoryKeepsWhatDocumentsSay()
    {
        using var folder = new TemporaryFolder();
        folder.Write("in/a.pdf", Pdf);
        folder.Write("in/b.html", $"<script>no()</script><p>{Said}");
        folder.Write("in/c.epub", Made.Epub(("c", Said)));
        folder.Write("in/d.md", Said);
        folder.Write("in/e.png", "no");
        var memory = folder["a.memory"];
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", memory, "--model", model.Path)).Code);
        var lines = (await LandmarkTool.Run("memory", "add", memory, folder["in"], "--json", "--model", model.Path)).Lines;
        Assert.Equal(["a.pdf", "b.html", "c.epub", "d.md"], lines[..^1].Select(l => l.GetProperty("name").GetString()));
        var piped = (await LandmarkTool.RunOn(Pdf, "memory", "add", memory, "-", "--name", "piped", "--json", "--model", model.Path)).Lines;
        Assert.Equal(Said.Length, piped[0].GetProperty("bytes").GetInt64());
        using var engine = LandmarkEngine.Load(model.Path);
        using var file = MemoryFile.Open(memory, engine.MemoryModel());
        foreach (var name in (string[])["a.pdf", "b.html", "c.epub", "d.md", "piped"]) MadeMemory.Same(engine, file, name, Said);
    }

    [Fact]
    public async Task AQuestionIsAskedOfADocument()
    {
        using var folder = new TemporaryFolder();
        var text = string.Join('\n', Enumerable.Range(0, 12).Select(i => $"line {i}"));
        var (plain, page) = (folder.Write("a.txt", text), folder.Write("a.html", $"<pre>{text}</pre>"));
        var asked = await Ask(plain);
        Assert.Equal(asked, await Ask(page));

        async Task<string?> Ask(string path) => (await LandmarkTool.Run(
            "ask", "Which?", "--text", path, "--max-tokens", "12", "--json", "--model", model.Path)).Lines[^1].GetProperty("answer").GetString();
    }

    [Fact]
    public async Task DamagedDocumentsAreRefusedInASentence()
    {
        using var folder = new TemporaryFolder();
        var (pdf, epub, html) = (folder.Write("a.pdf", Pdf[..300]), folder.Write("b.epub", "PK\u0003\u0004"), folder.Write("c.html", "<script>x()</script>"));
        var memory = folder["a.memory"];
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", memory, "--model", model.Path)).Code);
        foreach (var (path, part) in (IEnumerable<(string, string)>)[(pdf, "is no PDF, or damaged"), (epub, "is no EPUB, or damaged"), (html, "holds no text")])
        {
            (await LandmarkTool.Run("memory", "add", memory, path, "--model", model.Path)).Says($"'{path}' {part}");
            (await LandmarkTool.Run("ask", "Which?", "--text", path, "--json", "--model", model.Path)).SaysAsJson($"'{path}' {part}");
        }
    }
}
