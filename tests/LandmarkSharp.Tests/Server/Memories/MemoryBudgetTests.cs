using System.Text;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Memories;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>What each caller may use, asked in process, as a page of the server does.</summary>
public sealed class MemoryBudgetTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly ServedMemories memories = new(model);

    public void Dispose() => memories.Dispose();

    [Fact]
    public async Task ADocumentThatTakesMoreThanThereIsFailsAndLeavesAllElse()
    {
        await using var server = await memories.Start();
        var library = server.Server.Library!;
        var bob = library.Of(new Caller("bob"));
        bob.Create("a", "int8");
        await Put(bob, "small", Sentences(Code, 10));
        // Its digits take more tokens than texts do, so that it is not known before.
        var text = string.Concat(Enumerable.Range(0, 900).Select(i => $"{i * 7919 % 100_003} "));
        var used = new FileInfo(Path.Combine(memories.Folder["library"], "bob", "a.memory")).Length;
        var guess = (long)(Incoming.TokensAbout(text.Length) * 6000 * 1.3);
        library.Of(new Caller("bob") { Limits = new CallerLimits { DiskBytes = used + guess } });
        var put = await new Uploads(bob).Put("a", "large", null, new MemoryStream(Encoding.UTF8.GetBytes(text)), null, default);
        Assert.NotEqual("failed", put.State);
        var last = await Last(bob, "large");
        Assert.Equal(("failed", (long?)null), (last.State, last.Tokens));
        Assert.Contains("no room", last.Error!, StringComparison.Ordinal);
        Assert.Equal(["large", "small"], bob.Describe("a").Documents!.Select(d => d.Name).Order());
        using (var file = MemoryFile.Open(Path.Combine(memories.Folder["library"], "bob", "a.memory")))
        {
            Assert.Equal("small", Assert.Single(file.Documents).Name);
            Assert.InRange(file.Bytes, 0, used + 4_000_000);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
        }
        // With room it is read, when it is sent again.
        library.Of(new Caller("bob"));
        await Put(bob, "large", text);
        RequestException Refused(CallerLimits limits) =>
            Assert.Throws<RequestException>(() => library.Of(new Caller("bob") { Limits = limits }).RequireRoom("a", 10));
        Assert.Equal((507, "insufficient_storage"), Refused(new CallerLimits { DiskBytes = 1 }) is var full ? (full.Status, full.Code) : default);
        Assert.Equal((413, "too_large"), Refused(new CallerLimits { UploadBytes = 9 }) is var large ? (large.Status, large.Code) : default);
    }

    [Fact]
    public async Task TokensThatAreReadAreTheDaysOfTheirOwner()
    {
        await using var server = await memories.Start();
        var left = 1000L;
        var bob = server.Server.Library!.Of(new Caller("bob")
        {
            Spend = tokens => left -= tokens <= left && left > 0 ? tokens : throw new RequestException(429, "There are no tokens left for today.", code: "insufficient_quota"),
        });
        bob.Create("a", "int8");
        await Put(bob, "small", Sentences(Code, 10));
        Assert.Equal(1000 - bob.Document("a", "small").Tokens, left);
        await new Uploads(bob).Put("a", "large", null, new MemoryStream(Encoding.UTF8.GetBytes(Sentences(Code, 200))), null, default);
        var last = await Last(bob, "large");
        Assert.Equal(("failed", "There are no tokens left for today."), (last.State, last.Error));
        Assert.InRange(left, 0, 378);
        left = 0;
        Assert.Equal(429, (await Assert.ThrowsAsync<RequestException>(() => Put(bob, "none", "It is so."))).Status);
        await Assert.ThrowsAsync<RequestException>(() => server.Server.Library!.Search(bob.Caller, "", ["a"], "Who?", 1, default));
    }

    [Fact]
    public async Task ACallersFolderIsItsOwn()
    {
        await using var server = await memories.Start();
        foreach (var name in (string[])["alice", "bob"])
        {
            var shelf = server.Server.Library!.Of(new Caller(name));
            shelf.Create("same", "int8");
            await Put(shelf, "it", Sentences(name, 5), "same");
        }
        foreach (var name in (string[])["alice", "bob"])
        {
            var shelf = server.Server.Library!.Of(new Caller(name));
            Assert.Contains(name, Encoding.UTF8.GetString([.. shelf.Text("same", "it", 0, null).SelectMany(p => p.ToArray())]), StringComparison.Ordinal);
        }
        Assert.Equal(["alice", "bob"], Directory.EnumerateDirectories(memories.Folder["library"]).Select(Path.GetFileName).Order());
    }

    private static async Task Put(MemoryShelf shelf, string document, string text, string memory = "a")
    {
        await new Uploads(shelf).Put(memory, document, "text/plain", new MemoryStream(Encoding.UTF8.GetBytes(text)), null, default);
        Assert.Equal("ready", (await Last(shelf, document, memory)).State);
    }

    private static async Task<DocumentInfo> Last(MemoryShelf shelf, string document, string memory = "a")
    {
        DocumentInfo? last = null;
        await foreach (var told in shelf.Follow(memory, document, default)) last = told;
        return last!;
    }
}
