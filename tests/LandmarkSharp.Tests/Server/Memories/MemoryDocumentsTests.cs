using System.Net;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>Memories and their documents: made, filled, changed and removed, each caller's for itself.</summary>
public sealed class MemoryDocumentsTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly ServedMemories memories = new(model);

    public void Dispose() => memories.Dispose();

    [Fact]
    public async Task AMemoryIsMadeListedAndDeleted()
    {
        await using var server = await memories.Start();
        await Create(server, "b", "float32");
        await Create(server, "a.1_x-Y");
        await Add(server, "b", "it.txt", Sentences(Code, 8));
        var list = (await Get(server, "")).GetProperty("data").EnumerateArray().ToArray();
        Assert.Equal([("a.1_x-Y", "int8", 0), ("b", "float32", 1)], list.Select(m =>
            (m.GetProperty("name").GetString()!, m.GetProperty("block_type").GetString()!, m.GetProperty("document_count").GetInt32())));
        var (memory, bytes) = (await Get(server, "b"), Encoding.UTF8.GetByteCount(Sentences(Code, 8)));
        var document = Assert.Single(memory.GetProperty("documents").EnumerateArray());
        Assert.Equal(("it.txt", "ready", bytes), (
            document.GetProperty("name").GetString(), document.GetProperty("state").GetString(), document.GetProperty("bytes").GetInt32()));
        Assert.Equal(memory.GetProperty("tokens").GetInt64(), document.GetProperty("tokens").GetInt64());
        Assert.Equal(new FileInfo(memories.File("b")).Length, memory.GetProperty("bytes").GetInt64());
        using (var twice = await server.Post("v1/memories", """{"name":"b"}""")) Assert.Equal((HttpStatusCode.Conflict, "memory_exists"), await Refusal(twice));
        using (var gone = await server.Http.DeleteAsync("v1/memories/b")) Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        foreach (var path in (string[])["b", "b/documents/it.txt", "b/documents/it.txt/text", "b/documents/it.txt/events"])
        {
            using var missing = await server.Http.GetAsync($"v1/memories/{path}");
            Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), await Refusal(missing));
        }
        Assert.Single((await Get(server, "")).GetProperty("data").EnumerateArray());
        await Create(server, "b");                                                          // and is another one
        Assert.Empty((await Get(server, "b")).GetProperty("documents").EnumerateArray());
    }

    [Theory]
    [InlineData("{}", "name", "invalid_name")]
    [InlineData("""{"name":""}""", "name", "invalid_name")]
    [InlineData("""{"name":".."}""", "name", "invalid_name")]
    [InlineData("""{"name":".a"}""", "name", "invalid_name")]
    [InlineData("""{"name":"a/b"}""", "name", "invalid_name")]
    [InlineData("""{"name":"a\\b"}""", "name", "invalid_name")]
    [InlineData("""{"name":"a\u0000"}""", "name", "invalid_name")]
    [InlineData("""{"name":"ä"}""", "name", "invalid_name")]
    [InlineData("""{"name":"a","block_type":"int4"}""", "block_type", null)]
    [InlineData("""{"name":"a","owner":"b"}""", "owner", "unknown_field")]
    public async Task WhatIsNoMemoryIsNotMade(string body, string param, string? code)
    {
        await using var server = await memories.Start();
        using var refused = await server.Post("v1/memories", body);
        var error = await TestServer.Error(refused);
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (error.Status, error.Param, error.Code));
        Assert.Empty((await Get(server, "")).GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task NamesWithTricksLeadNowhere()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        memories.Folder.Write("library/secret.memory", "secret");
        foreach (var name in (string[])[
            "..%2Fsecret", "%2e%2e%2fsecret", "..%5csecret", "a%00", "a%0a", "%c3%a4", new string('a', 65), "a%2F..%2Fa", ".incoming", "..."])
        {
            using var response = await server.Http.GetAsync($"v1/memories/{name}");
            Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{name}: {response.StatusCode}");
            Assert.DoesNotContain("secret\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        foreach (var (name, status) in (IEnumerable<(string, HttpStatusCode)>)[
            ("..%2F..%2Fetc%2Fpasswd", HttpStatusCode.Accepted),                            // a document's name is no path
            ("Größe, 100% sure?.txt", HttpStatusCode.Accepted), ("日本#1", HttpStatusCode.Accepted), ("a\nb", HttpStatusCode.BadRequest),
            (new string('a', 257), HttpStatusCode.BadRequest)])
        {
            var plain = name.Contains("%2F", StringComparison.Ordinal) ? Uri.UnescapeDataString(name) : name;
            using var put = await Put(server, "a", plain, Encoding.UTF8.GetBytes(Sentences(Code, 3)));
            Assert.True(put.StatusCode == status, $"{name}: {await put.Content.ReadAsStringAsync()}");
        }
        foreach (var name in (string[])["../../etc/passwd", "Größe, 100% sure?.txt", "日本#1"])
            Assert.Equal("ready", (await Settled(server, "a", name)).GetProperty("state").GetString());
        Assert.Equal(
            ["../../etc/passwd", "Größe, 100% sure?.txt", "日本#1"],
            (await Get(server, "a")).GetProperty("documents").EnumerateArray().Select(d => d.GetProperty("name").GetString()).Order(StringComparer.Ordinal));
        string?[] Entries(string folder) =>
            [.. Directory.EnumerateFileSystemEntries(memories.Folder[folder]).Select(Path.GetFileName).Order(StringComparer.Ordinal)];
        Assert.Equal([".server.lock", "local", "secret.memory"], Entries("library"));
        Assert.Equal([".incoming", "a.memory", "a.memory.lock"], Entries("library/local"));
    }

    [Fact]
    public async Task ADocumentIsReplacedAndRemoved()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        await Add(server, "a", "it.txt", Sentences(Code, 12));
        await Add(server, "a", "other.txt", Sentences(Keeper, 12, 2));
        var version = Version("it.txt");
        await Add(server, "a", "it.txt", Sentences(Code, 12));                                   // the same: nothing is read
        Assert.Equal(version, Version("it.txt"));
        await Add(server, "a", "it.txt", Sentences("The code of the archive is 9038.", 12));
        Assert.NotEqual(version, Version("it.txt"));
        var cited = Cited(await Ask(server, "What is the code of the archive?", ["a"], ",\"landmark\":{\"top_k\":32,\"passages\":64}"));
        Assert.Contains(cited, c => c.GetProperty("text").GetString()!.Contains("9038", StringComparison.Ordinal));
        Assert.DoesNotContain(cited, c => c.GetProperty("text").GetString()!.Contains("4711", StringComparison.Ordinal));
        Assert.Equal(Sentences("The code of the archive is 9038.", 12), await server.Http.GetStringAsync("v1/memories/a/documents/it.txt/text"));
        using (var removed = await server.Http.DeleteAsync("v1/memories/a/documents/it.txt")) Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        using (var missing = await server.Http.DeleteAsync("v1/memories/a/documents/it.txt"))
            Assert.Equal((HttpStatusCode.NotFound, "document_not_found"), await Refusal(missing));
        Assert.All(Cited(await Ask(server, "Who?", ["a"])), c => Assert.Equal("other.txt", c.GetProperty("document").GetString()));
        using (await server.Http.DeleteAsync("v1/memories/a/documents/other.txt"))
        using (var empty = await Asked(server, "Who?", ["a"]))
        {
            var error = await TestServer.Error(empty);
            Assert.Equal((HttpStatusCode.BadRequest, "memories", "memory_empty"), (error.Status, error.Param, error.Code));
            Assert.DoesNotContain(memories.Folder.Path, error.Message, StringComparison.Ordinal);
        }
        using var file = MemoryFile.Open(memories.File("a"));
        Assert.Empty(file.Check(TestContext.Current.CancellationToken));

        ulong Version(string name)
        {
            using var opened = MemoryFile.Open(memories.File("a"));
            return opened.Documents.Single(d => d.Name == name).Version.Check;
        }
    }

    [Fact]
    public async Task OfAPageTheTextIsReadAndQuoted()
    {
        var lines = Sentences(Code, 40).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var page = $"<!doctype html><title>Lamps</title><script>no text</script>{string.Concat(lines.Select(l => $"<p>{l}</p>"))}";
        await using var server = await memories.Start();
        await Create(server, "a");
        using (var put = await Put(server, "a", "page", Encoding.UTF8.GetBytes(page), "text/html; charset=utf-8")) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        Assert.Equal("ready", (await Settled(server, "a", "page")).GetProperty("state").GetString());
        var text = await server.Http.GetStringAsync("v1/memories/a/documents/page/text");
        Assert.Contains(Code, text, StringComparison.Ordinal);
        Assert.DoesNotContain("<", text, StringComparison.Ordinal);
        Assert.DoesNotContain("no text", text, StringComparison.Ordinal);
        var cited = Cited(await Ask(server, "What is the code of the archive?", ["a"], ",\"landmark\":{\"focus\":4}"));
        Assert.NotEmpty(cited);
        Assert.All(cited, c => Assert.Equal(
            c.GetProperty("text").GetString(),
            Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text).AsSpan((int)c.GetProperty("first_byte").GetInt64(), c.GetProperty("bytes").GetInt32()))));
        Assert.Empty(Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]));
    }

    [Fact]
    public async Task EventsTellHowFarAReadingIs()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        using (var put = await Put(server, "a", "it.txt", Encoding.UTF8.GetBytes(Sentences(Code, 300)))) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        var events = await Events(server, "a", "it.txt");
        var read = events.Where(e => e.TryGetProperty("reading", out _)).Select(e => e.GetProperty("reading").GetProperty("tokens").GetInt64()).ToArray();
        Assert.True(read.Distinct().Count() > 2, string.Join(' ', events.Select(e => e.GetRawText())));
        Assert.Equal(read.Order(), read);
        Assert.Contains(events, e => e.TryGetProperty("reading", out var r) && r.TryGetProperty("tokens_per_second", out var s) && s.GetDouble() > 0
            && r.GetProperty("total").GetInt64() >= r.GetProperty("tokens").GetInt64() && r.GetProperty("seconds_left").GetDouble() >= 0);
        Assert.Equal("ready", events[^1].GetProperty("state").GetString());
        Assert.All(events[..^1], e => Assert.Contains(e.GetProperty("state").GetString(), (string[])["waiting", "reading"]));
        Assert.True(JsonElement.DeepEquals(events[^1], await Get(server, "a/documents/it.txt")));
    }

    [Fact]
    public async Task WhatIsNoTextOrTooMuchIsRefused()
    {
        await using var server = await memories.Start(o => (o.MaxUploadBytes, o.MemoryDiskBytes) = (50_000, 40_000_000));
        await Create(server, "a");
        byte[] text = Encoding.UTF8.GetBytes(Sentences(Code, 3));
        foreach (var (body, type, status, code) in (IEnumerable<(byte[], string, HttpStatusCode, string)>)[
            (text, "image/png", HttpStatusCode.UnsupportedMediaType, "unsupported_media_type"),
            (text, "application/pdf", HttpStatusCode.UnprocessableEntity, "no_text"), (text, "application/epub+zip", HttpStatusCode.UnprocessableEntity, "no_text"),
            (text, "text/plain; charset=latin1", HttpStatusCode.UnsupportedMediaType, "unsupported_media_type"),
            ([1, 0, 2], "text/plain", HttpStatusCode.UnprocessableEntity, "no_text"), ([], "text/plain", HttpStatusCode.UnprocessableEntity, "no_text"),
            (new byte[50_001], "text/plain", HttpStatusCode.RequestEntityTooLarge, "too_large"),
            (Encoding.UTF8.GetBytes(new string('a', 49_000)), "text/markdown; charset=utf-8", HttpStatusCode.InsufficientStorage, "insufficient_storage")])
        {
            using var refused = await Put(server, "a", "it.txt", body, type);
            Assert.Equal((status, code), await Refusal(refused));
        }
        using (var unknown = new HttpRequestMessage(HttpMethod.Put, "v1/memories/a/documents/it.txt"))
        {
            unknown.Content = new StreamContent(new Unsized(60_000)) { Headers = { ContentType = new("text/plain") } };
            unknown.Headers.TransferEncodingChunked = true;                                 // its length is not told beforehand
            using var refused = await server.Http.SendAsync(unknown);
            Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too_large"), await Refusal(refused));
        }
        Assert.Empty(Directory.EnumerateFiles(memories.Folder["library/local/.incoming"]));
        Assert.Empty((await Get(server, "a")).GetProperty("documents").EnumerateArray());
        // What passes is read, and a memory that has become too large by then says so.
        var small = server.Server.Library!.Of(Caller.Local with { Limits = new CallerLimits { UploadBytes = 100, DiskBytes = 1 } });
        Assert.Equal(100, small.UploadBytes);
        using var put = await Put(server, "a", "it.txt", text);
        Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);                              // a request's limits are its own caller's
        await Settled(server, "a", "it.txt");
    }

    [Fact]
    public async Task AnothersMemoryIsAsOneThatIsNotThere()
    {
        await using var server = await memories.Start();
        var bob = server.Server.Library!.Of(new Caller("bob"));
        bob.Create("secret", "int8");
        await bob.Queue.Stop();
        foreach (var name in (string[])["secret", "nothing"])
        {
            foreach (var path in (string[])["", "/documents/a", "/documents/a/text", "/documents/a/events", "/uploads/1"])
            {
                using var response = await server.Http.GetAsync($"v1/memories/{name}{path}");
                Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), await Refusal(response));
            }
            using var asked = await Asked(server, "Who?", [name]);
            Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), await Refusal(asked));
            using var put = await Put(server, name, "a", [65]);
            Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), await Refusal(put));
            using var deleted = await server.Http.DeleteAsync($"v1/memories/{name}");
            Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), await Refusal(deleted));
        }
        Assert.Empty((await Get(server, "")).GetProperty("data").EnumerateArray());
        Assert.Single(bob.All().Data);
        await Create(server, "secret");                                                     // the name is free for others
        Assert.Empty(bob.Describe("secret").Documents!);
    }

    [Fact]
    public async Task SearchRanksDocumentsAsTheEngineDoes()
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        await Add(server, "a", "one", Sentences(Code, 20));
        await Add(server, "a", "two", Sentences(Keeper, 20, 2));
        using var response = await server.Post("v1/memories/a/search", """{"query":"The keeper of the lighthouse is","top":2,"passages":2}""");
        var found = TestServer.Parse(await response.Content.ReadAsStringAsync()).GetProperty("data").EnumerateArray().ToArray();
        using var memory = model.Engine.OpenMemory([memories.Made("own", ("one", Sentences(Code, 20)), ("two", Sentences(Keeper, 20, 2)))]);
        var own = model.Engine.Search(memory, "The keeper of the lighthouse is", cancel: TestContext.Current.CancellationToken);
        Assert.Equal(own.Select(d => d.Name), found.Select(d => d.GetProperty("document").GetString()));
        foreach (var (mine, its) in own.Zip(found))
        {
            Assert.Equal(mine.Mass, its.GetProperty("mass").GetDouble(), 1e-6);
            Assert.Equal(
                mine.Passages.Take(2).Select(p => p.Passage.FirstByte),
                its.GetProperty("passages").EnumerateArray().Select(p => (long?)p.GetProperty("first_byte").GetInt64()));
        }
        foreach (var body in (string[])["{}", """{"query":" "}""", """{"query":"a","top":0}""", """{"query":"a","layer":1}"""])
        {
            using var refused = await server.Post("v1/memories/a/search", body);
            Assert.Equal(HttpStatusCode.BadRequest, (await TestServer.Error(refused)).Status);
        }
    }

    [Theory]
    [InlineData("from=-1", "from")]
    [InlineData("from=one", "from")]
    [InlineData("to=1e3", "to")]
    [InlineData("from=5&to=4", "to")]
    [InlineData("to=100000", "to")]
    public async Task BytesThatADocumentHasNotAreSaid(string query, string param)
    {
        await using var server = await memories.Start();
        await Create(server, "a");
        await Add(server, "a", "it.txt", "It is so.");
        using var refused = await server.Http.GetAsync($"v1/memories/a/documents/it.txt/text?{query}");
        Assert.Equal((HttpStatusCode.BadRequest, param), (await TestServer.Error(refused)) is var e ? (e.Status, e.Param) : default);
        Assert.Equal("is", await server.Http.GetStringAsync("v1/memories/a/documents/it.txt/text?from=3&to=5"));
    }

    /// <summary>Status and code of a refusal.</summary>
    private static async Task<(HttpStatusCode Status, string? Code)> Refusal(HttpResponseMessage response)
    {
        var error = await TestServer.Error(response);
        return (error.Status, error.Code);
    }

    /// <summary>So many letters, of which nobody is told the number.</summary>
    private sealed class Unsized(int left) : Stream
    {
        private int left = left;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            count = Math.Min(count, left);
            left -= count;
            buffer.AsSpan(offset, count).Fill((byte)'a');
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
