using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Memory.Files;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>Documents that come in pieces: they go on where they stopped, and none is read before it is whole.</summary>
public sealed class UploadTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly ServedMemories memories = new(model);
    private readonly byte[] text = Encoding.UTF8.GetBytes(Sentences(Code, 20));

    public void Dispose() => memories.Dispose();

    [Fact]
    public async Task PiecesBecomeTheDocumentAlsoAcrossARestart()
    {
        string id;
        await using (var first = await memories.Start())
        {
            await Create(first, "a");
            var hash = Convert.ToHexString(SHA256.HashData(text));
            id = await Begin(first, $$"""{"document":"it.txt","bytes":{{text.Length}},"sha256":"{{hash}}","media_type":"text/markdown"}""");
            using var begun = await Send(first, id, 0, text[..400]);
            Assert.Equal((HttpStatusCode.OK, "400"), (begun.StatusCode, Offset(begun)));
            using var tooFar = await Send(first, id, 300, text[300..]);
            Assert.Equal((HttpStatusCode.Conflict, "wrong_offset", "400"), await Refused(tooFar));
        }
        await using var server = await memories.Start();
        Assert.Equal([("it.txt", "receiving")], Documents(await Get(server, "a")));
        using (var told = await server.Http.GetAsync($"v1/memories/a/uploads/{id}"))
        {
            Assert.Equal("400", Offset(told));
            var upload = TestServer.Parse(await told.Content.ReadAsStringAsync());
            Assert.Equal(("it.txt", 400, text.Length, "receiving"), (
                upload.GetProperty("document").GetString(), upload.GetProperty("offset").GetInt32(), upload.GetProperty("bytes").GetInt32(),
                upload.GetProperty("state").GetString()));
        }
        using (var tooMuch = await Send(server, id, 400, [.. text[400..], 65]))
            Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too_large", "400"), await Refused(tooMuch));
        using (var last = await Send(server, id, 400, text[400..])) Assert.Equal((HttpStatusCode.OK, text.Length.ToString()), (last.StatusCode, Offset(last)));
        Assert.Equal("ready", (await Settled(server, "a", "it.txt")).GetProperty("state").GetString());
        Assert.Equal(Encoding.UTF8.GetString(text), await server.Http.GetStringAsync("v1/memories/a/documents/it.txt/text"));
        await TestServer.Until(() => !Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]).Any());
        using var gone = await server.Http.GetAsync($"v1/memories/a/uploads/{id}");
        Assert.Equal((HttpStatusCode.NotFound, "upload_not_found"), (await TestServer.Error(gone)) is var e ? (e.Status, e.Code) : default);
    }

    [Fact]
    public async Task WhatIsNotWhatItIsSaidToBeIsGone()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        foreach (var (body, fields, code) in (IEnumerable<(byte[], string, string)>)[
            (text, $",\"sha256\":\"{new string('0', 64)}\"", "wrong_hash"), (new byte[10], "", "no_text")])
        {
            var id = await Begin(server, $$"""{"document":"it.txt","bytes":{{body.Length}}{{fields}}}""");
            using var refused = await Send(server, id, 0, body);
            Assert.Equal((HttpStatusCode.UnprocessableEntity, code), await Refused(refused) is var (status, said, _) ? (status, said) : default);
            using var gone = await Send(server, id, 0, body);
            Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        }
        Assert.Empty(Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]));
    }

    [Theory]
    [InlineData("""{"document":"a"}""", HttpStatusCode.BadRequest, "bytes")]
    [InlineData("""{"document":"a","bytes":0}""", HttpStatusCode.BadRequest, "bytes")]
    [InlineData("""{"document":"a","bytes":1,"sha256":"x"}""", HttpStatusCode.BadRequest, "sha256")]
    [InlineData("""{"document":"..","bytes":1}""", HttpStatusCode.BadRequest, "document")]
    [InlineData("""{"document":"a%2Fb","bytes":1}""", HttpStatusCode.BadRequest, "document")]
    [InlineData("""{"document":"\ud800","bytes":1}""", HttpStatusCode.BadRequest, "document")]
    [InlineData("""{"document":"a","bytes":1,"media_type":"image/png"}""", HttpStatusCode.UnsupportedMediaType, "media_type")]
    [InlineData("""{"document":"a","bytes":1,"path":"/etc"}""", HttpStatusCode.BadRequest, "path")]
    [InlineData("""{"document":"a","bytes":300000000}""", HttpStatusCode.RequestEntityTooLarge, null)]
    public async Task WhatCannotComeIsRefused(string body, HttpStatusCode status, string? param)
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        using var refused = await server.Post("v1/memories/a/uploads", body);
        Assert.Equal((status, param), (await TestServer.Error(refused)) is var e ? (e.Status, e.Param) : default);
    }

    [Fact]
    public async Task AnUploadIsGivenUpAndOthersAreNotFound()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        await Create(server, "b");
        var id = await Begin(server, $$"""{"document":"it.txt","bytes":{{text.Length}}}""");
        using (var begun = await Send(server, id, 0, text[..100])) Assert.Equal(HttpStatusCode.OK, begun.StatusCode);
        foreach (var path in (string[])[$"b/uploads/{id}", "a/uploads/x", "a/uploads/..%2Fit", $"a/uploads/{id}.json"])
        {
            using var missing = await server.Http.GetAsync($"v1/memories/{path}");
            Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
        }
        using (var none = await server.Http.PatchAsync($"v1/memories/a/uploads/{id}", new ByteArrayContent([65])))
            Assert.Equal((HttpStatusCode.BadRequest, "Upload-Offset"), (await TestServer.Error(none)) is var e ? (e.Status, e.Param) : default);
        using (var removed = await server.Http.DeleteAsync($"v1/memories/a/uploads/{id}")) Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        using var gone = await Send(server, id, 100, text[100..]);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Empty(Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]));
    }

    [Fact]
    public async Task WhatNobodyGoesOnWithGoesAfterADay()
    {
        string old, young;
        await using (var first = await memories.Start())
        {
            await Create(first, "a");
            (old, young) = (await Begin(first, """{"document":"old","bytes":10}"""), await Begin(first, """{"document":"young","bytes":10}"""));
        }
        File.SetLastWriteTimeUtc(Path.Combine(memories.Folder["library/local/.incoming"], $"{old}.part"), DateTime.UtcNow.AddHours(-25));
        foreach (var name in (string[])[$"{young}.new", "0123.part", "none.json"]) memories.Folder.Write($"library/local/.incoming/{name}", "{}");     // as kills leave them
        await using var server = await memories.Start();
        Assert.Equal([$"{young}.json", $"{young}.part"], Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]).Select(Path.GetFileName).Order());
        foreach (var (id, status) in (IEnumerable<(string, HttpStatusCode)>)[(old, HttpStatusCode.NotFound), (young, HttpStatusCode.OK)])
        {
            using var told = await server.Http.GetAsync($"v1/memories/a/uploads/{id}");
            Assert.Equal(status, told.StatusCode);
        }
    }

    [Fact]
    public async Task AReadingThatIsStoppedGoesOnByItself()
    {
        var text = Sentences(Code, 900);
        await using (var first = await memories.Start())
        {
            await Create(first, "a");
            using var put = await Put(first, "a", "it.txt", Encoding.UTF8.GetBytes(text));
            await TestServer.Until(() => first.Server.Library!.Of(LandmarkSharp.Server.Access.Caller.Local).Document("a", "it.txt").Reading?.Tokens > 0);
            await first.Server.Stop();
        }
        using (var file = MemoryFile.Open(memories.File("a"))) Assert.DoesNotContain(file.Documents, d => d.Complete);
        await using var server = await memories.Start();
        Assert.Equal("ready", (await Settled(server, "a", "it.txt")).GetProperty("state").GetString());
        Assert.Equal(text, await server.Http.GetStringAsync("v1/memories/a/documents/it.txt/text"));
        using var whole = MemoryFile.Open(memories.File("a"));
        Assert.Empty(whole.Check(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task OneDocumentIsRemovedWhileAnotherIsRead()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        await Add(server, "a", "old.txt", Sentences(Code, 5));
        foreach (var name in (string[])["long.txt", "unwanted.txt"])
            using (var put = await Put(server, "a", name, Encoding.UTF8.GetBytes(Sentences("", 500)))) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        await TestServer.Until(() => server.Server.Library!.Of(LandmarkSharp.Server.Access.Caller.Local).Document("a", "long.txt").Reading?.Tokens > 0);
        foreach (var name in (string[])["old.txt", "unwanted.txt"])
            using (var removed = await server.Http.DeleteAsync($"v1/memories/a/documents/{name}")) Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        Assert.Equal("ready", (await Settled(server, "a", "long.txt")).GetProperty("state").GetString());
        Assert.Equal([("long.txt", "ready")], Documents(await Get(server, "a")));
        // And a memory while one is read into it.
        using (var put = await Put(server, "a", "more.txt", Encoding.UTF8.GetBytes(Sentences("", 500)))) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        await TestServer.Until(() => server.Server.Library!.Of(LandmarkSharp.Server.Access.Caller.Local).Document("a", "more.txt").Reading?.Tokens > 0);
        using (var deleted = await server.Http.DeleteAsync("v1/memories/a")) Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Empty(Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]));
        Assert.False(File.Exists(memories.File("a")));
    }

    private static (string Name, string State)[] Documents(JsonElement memory) =>
        [.. memory.GetProperty("documents").EnumerateArray().Select(d => (d.GetProperty("name").GetString()!, d.GetProperty("state").GetString()!))];

    private static async Task<string> Begin(TestServer server, string body)
    {
        using var begun = await server.Post("v1/memories/a/uploads", body);
        var told = await begun.Content.ReadAsStringAsync();
        Assert.True(begun.StatusCode == HttpStatusCode.Created, told);
        Assert.Equal("0", Offset(begun));
        return TestServer.Parse(told).GetProperty("id").GetString()!;
    }

    private static async Task<HttpResponseMessage> Send(TestServer server, string id, long offset, byte[] piece)
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, $"v1/memories/a/uploads/{id}") { Content = new ByteArrayContent(piece) };
        request.Headers.Add("Upload-Offset", offset.ToString());
        return await server.Http.SendAsync(request);
    }

    private static string Offset(HttpResponseMessage response) => response.Headers.GetValues("Upload-Offset").Single();

    private static async Task<(HttpStatusCode Status, string? Code, string Offset)> Refused(HttpResponseMessage response)
    {
        var error = await TestServer.Error(response);
        return (error.Status, error.Code, Offset(response));
    }
}
