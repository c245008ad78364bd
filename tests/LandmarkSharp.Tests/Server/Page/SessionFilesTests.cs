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
