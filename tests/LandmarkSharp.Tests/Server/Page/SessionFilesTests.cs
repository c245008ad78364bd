using LandmarkSharp.Server;
using LandmarkSharp.Server.Page;

namespace LandmarkSharp.Tests.Server.Page;

/// <summary>Conversations on disk.</summary>
public sealed class SessionFilesTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void AConversationComesBackAsItWas()
    {
        var files = Files("anna");
        var kept = Session("Wer wohnt im Haus? 日本 <&>");
        files.Save(kept);
        var found = files.Find(kept.Id)!;
        Assert.Equivalent(kept, found, strict: true);
        Assert.Equal(kept.Turns[0].Question, found.Title);

        files.Save(kept with { Turns = [] });
        Assert.Empty(Assert.Single(files.All()).Turns);
        files.Remove(kept.Id);
        Assert.Empty(files.All());
        Assert.Null(files.Find(kept.Id));
    }

    [Fact]
    public void TheLastIsTheFirstAndOthersSeeNone()
    {
        var files = Files("anna");
        var (old, now) = (Session("old") with { Changed = DateTimeOffset.UnixEpoch }, Session("new"));
        foreach (var session in (PageSession[])[now, old]) files.Save(session);
        Assert.Equal([now.Id, old.Id], files.All().Select(s => s.Id));
        Assert.Empty(Files("bert").All());
        Assert.Null(Files("bert").Find(old.Id));
    }

    [Theory]
    [InlineData("../../secret")]
    [InlineData("")]
    [InlineData("0123456789abcdef")]
    [InlineData("{0123456789abcdef0123456789abcdef}")]
    public void NothingButAnIdIsLookedFor(string id)
    {
        folder.Write("secret.json", "{}");
        Assert.Null(Files("anna").Find(id));
    }

    [Fact]
    public void FilesOfOthersAreLeftAlone()
    {
        var files = Files("anna");
        files.Save(Session("mine"));
        folder.Write("anna/.conversations/broken.json", "{");
        folder.Write("anna/.conversations/empty.json", "{}");
        Assert.Equal("mine", Assert.Single(files.All()).Title);
    }

    [Fact]
    public void AConversationAboutSeveralMemoriesNamesTheirsAndOneOfBeforeIsRead()
    {
        var files = Files("anna");
        var kept = Session("Who?");
        var turn = kept.Turns[0] with { Memories = ["m", "n"], Focus = 32, Passages = [kept.Turns[0].Passages[0] with { Memory = "n" }] };
        kept = kept with { Memories = ["m", "n"], Turns = [turn] };
        files.Save(kept);
        Assert.Equivalent(kept, files.Find(kept.Id), strict: true);
        var markdown = SessionExport.Markdown(kept);
        Assert.Contains("About the memories m, n, ", markdown, StringComparison.Ordinal);
        Assert.Contains("1. n · d, 12.5 % of the attention", markdown, StringComparison.Ordinal);

        const string id = "0123456789abcdef0123456789abcdef";
        folder.Write($"anna/.conversations/{id}.json", $$"""
            {"id":"{{id}}","memory":"m","changed":"2026-01-02T03:04:05+00:00","turns":[{"question":"Who?","answer":"Anna.","top_k":4,"blocks":7,"version":"v",
            "tokens":[],"reads":[],"passages":[{"block":1,"share":0.1,"document":"d","first_token":0,"tokens":1,"first_byte":0,"bytes":1,"text":"a"}],
            "window":0.9,"seconds":1}]}
            """);
        var old = files.Find(id)!;
        Assert.Equal(["m"], old.Memories);
        Assert.Equal(("d", (int?)null), (old.Turns[0].SourceOf(old.Turns[0].Passages[0]), old.Turns[0].Focus));
    }

    [Fact]
    public void AnExportHasQuestionsAnswersAndSources()
    {
        var markdown = SessionExport.Markdown(Session("Who?"));
        Assert.Contains("# Who?\n\nAbout the memory m, ", markdown, StringComparison.Ordinal);
        Assert.EndsWith("## Who?\n\nAnna.\n\n1. d, 12.5 % of the attention, bytes 10 to 22:\n\n   > It is Anna,\n   > she said\n", markdown, StringComparison.Ordinal);
    }

    private SessionFiles Files(string caller) => new(new ServerOptions { Memories = folder.Path }, caller);

    private static PageSession Session(string question) => PageSession.About("m") with
    {
        Turns =
        [
            new PageTurn(
                question, "Anna.", 4, 7, "v", [new ReadToken("Anna", [new BlockShare(1, 0.25)])], [new BlockShare(1, 0.125)],
                [new PagePassage(1, 0.125, "d", 3, 3, 10, 13, "It is Anna,\nshe said", [new WordShare("It", 0.125)])], 0.875, 1.5),
        ],
    };

    public void Dispose() => folder.Dispose();
}
