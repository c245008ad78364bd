using System.Net;
using System.Text;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Server.Access;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;
using static TorchSharp.torch;
using MemoryShelf = LandmarkSharp.Server.Memories.MemoryShelf;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>How many memories are open at once: as many as there is room for, and who asks more waits.</summary>
public sealed class OpenMemoriesTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private const string Question = "What is the code of the archive?";

    private readonly ServedMemories memories = new(model);
    private readonly KeyRoom keys = new();

    public void Dispose()
    {
        memories.Dispose();
        keys.Dispose();
    }

    [Fact]
    public async Task OneIsSharedAndWhatNobodyAsksIsClosedForOthersLeastRecentlyAskedFirst()
    {
        var one = await Make("m0", "m1", "m2", "m3");
        await using var server = await memories.Start(o => o.MemoryOpenBytes = 3 * one);
        var shelf = Shelf(server);
        using MemoryLease first = shelf.Lease(["m0"]), again = shelf.Lease(["m0"]), b = shelf.Lease(["m1"]), c = shelf.Lease(["m2"]), d = shelf.Lease(["m3"]);
        await Taken(first, b, c, again);
        Assert.Same(first.Memory, again.Memory);
        Assert.Equal(3 * one, server.Server.Library!.OpenBytes);
        var (m0, m1) = (first.Memory, b.Memory);
        Assert.Equal(MemoryRoom.None, d.Take());
        first.Dispose();
        Assert.Equal(MemoryRoom.None, d.Take());                                            // it is still asked by another
        b.Dispose();
        again.Dispose();
        await Taken(d);
        Assert.Equal(3 * one, server.Server.Library.OpenBytes);
        using MemoryLease kept = shelf.Lease(["m0"]), closed = shelf.Lease(["m1"]);
        await Taken(kept);
        Assert.Same(m0, kept.Memory);
        c.Dispose();
        await Taken(closed);
        Assert.NotSame(m1, closed.Memory);
    }

    [Fact]
    public async Task WhatChangesIsOpenedAnewAndStaysForWhoHasIt()
    {
        await Make("m0");
        await using var server = await memories.Start();
        var shelf = Shelf(server);
        using MemoryLease old = shelf.Lease(["m0"]), waits = shelf.Lease(["m0"]);
        await Taken(old);
        await Add(server, "m0", "more", Sentences(Keeper, 3, 2));
        using var now = shelf.Lease(["m0"]);
        await Taken(now, waits);
        Assert.True(waits.HasChanged);                                                      // other documents than when it came
        waits.Renew();
        await Taken(waits);
        Assert.Same(now.Memory, waits.Memory);
        Assert.Equal((1, 2), (old.Memory.Opened.Documents.Count, now.Memory.Opened.Documents.Count));
        using (var session = model.Engine.NewSession(old.Memory.Opened)) session.Append("It is still open.");
        var both = server.Server.Library!.OpenBytes;
        old.Dispose();
        await TestServer.Until(() => server.Server.Library.OpenBytes < both);
    }

    [Fact]
    public async Task ThirtyTwoAtOnceAreAllAnsweredAndStayOpen()
    {
        string[] names = [.. Enumerable.Range(0, 32).Select(i => $"m{i}")];
        var one = await Make(names);
        await using var server = await memories.Start();
        foreach (var round in Enumerable.Range(0, 2))
        {
            var answers = await Task.WhenAll(names.Select(name => Asked(server, Question, [name], ",\"max_tokens\":4")));
            Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
            Assert.Equal(32 * one, server.Server.Library!.OpenBytes);
        }
    }

    [Fact]
    public async Task WhatDoesNotFitNowWaitsItsTurn()
    {
        var one = await Make("m0", "m1");
        await using var server = await memories.Start(o => o.MemoryOpenBytes = one);
        var busy = Shelf(server).Lease(["m0"]);
        await Taken(busy);
        using var gone = new CancellationTokenSource();
        var (waits, leaves) = (Asked(server, Question, ["m1"]), server.Post("v1/completions", Completion("m1"), gone.Token));
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 2);
        await server.Complete("\"prompt\":\"The sea\",\"max_tokens\":2");                   // nobody else waits for that
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaves);
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 1);
        Assert.False(waits.IsCompleted);
        busy.Dispose();
        using var answer = await waits;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(one, server.Server.Library!.OpenBytes);
    }

    [Fact]
    public async Task ASmallOneDoesNotOvertakeALargeOneThatWaits()
    {
        var one = await Make("m0", "m2");
        File.Copy(memories.Made("long", ("it", Sentences(Code, 100))), memories.File("m1"));
        await using var server = await memories.Start(o => o.MemoryOpenBytes = 3 * one);
        using var busy = Shelf(server).Lease(["m0"]);
        await Taken(busy);
        using (var lease = Shelf(server).Lease(["m1"])) Assert.InRange(lease.Bytes, 2 * one + 1, 3 * one);
        var large = Asked(server, Question, ["m1"]);
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 1);
        var small = Asked(server, Question, ["m2"]);
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 2);
        await Task.Delay(600);
        Assert.Equal((0, 2), (server.Server.Scheduler.State.Active, server.Server.Scheduler.State.Waiting));
        busy.Dispose();
        Assert.All(await Task.WhenAll(large, small), a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
    }

    [Fact]
    public async Task RequestsThatNameSeveralDoNotWaitForEachOther()
    {
        var one = await Make("m0", "m1", "m2");
        await using var server = await memories.Start(o => o.MemoryOpenBytes = 2 * one);
        string[][] sets = [["m0", "m1"], ["m1", "m0"], ["m1", "m2"], ["m2", "m0"], ["m0"], ["m1"], ["m2"]];
        var answers = await Task.WhenAll(Enumerable.Range(0, 21).Select(i => Asked(server, Question, sets[i % sets.Length], ",\"max_tokens\":4")));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.InRange(server.Server.Library!.OpenBytes, 0, 2 * one);
    }

    [Fact]
    public async Task AQueueThatIsFullAndAWaitThatIsTooLongAreTold()
    {
        var one = await Make("m0", "m1");
        await using var server = await memories.Start(
            o => (o.MemoryOpenBytes, o.Concurrency, o.QueueLength, o.QueueSeconds) = (one, 1, 1, 2));
        using var busy = Shelf(server).Lease(["m0"]);
        await Taken(busy);
        Task<HttpResponseMessage>[] wait = [Asked(server, Question, ["m1"]), Asked(server, Question, ["m1"])];
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 2);
        using var full = await Asked(server, Question, ["m1"]);
        Assert.Equal(TimeSpan.FromSeconds(1), full.Headers.RetryAfter!.Delta);
        Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded"), (await TestServer.Error(full)) is var f ? (f.Status, f.Code) : default);
        foreach (var late in await Task.WhenAll(wait))
        {
            var error = await TestServer.Error(late);
            Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded"), (error.Status, error.Code));
            Assert.Contains("waited for 2 seconds", error.Message, StringComparison.Ordinal);
            Assert.Equal(TimeSpan.FromSeconds(30), late.Headers.RetryAfter!.Delta);
        }
    }

    [Fact]
    public async Task AStopEndsTheWait()
    {
        var one = await Make("m0", "m1");
        await using var server = await memories.Start(o => (o.MemoryOpenBytes, o.GraceSeconds) = (one, 1));
        using var busy = Shelf(server).Lease(["m0"]);
        await Taken(busy);
        var waits = Asked(server, Question, ["m1"]);
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 1);
        await server.Server.Stop().WaitAsync(TimeSpan.FromSeconds(20));
        using var ended = await waits;
        var error = await TestServer.Error(ended);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "stopping"), (error.Status, error.Code));
    }

    [Fact]
    public async Task WhatCouldNeverFitIsRefusedAtOnce()
    {
        var one = await Make("m0", "m1");
        File.Copy(memories.Made("long", ("it", Sentences(Code, 100))), memories.File("m2"));
        await using (var server = await memories.Start(o => o.MemoryOpenBytes = one))
        {
            using var busy = Shelf(server).Lease(["m0"]);
            await Taken(busy);
            using var refused = await Asked(server, Question, ["m0", "m2"]);
            var error = await TestServer.Error(refused);
            Assert.Equal((HttpStatusCode.BadRequest, "memories", "memory_too_large"), (error.Status, error.Param, error.Code));
            Assert.Contains($"{one:N0} may be on this server", error.Message, StringComparison.Ordinal);
        }
        await using var other = await memories.Start();
        var e = Assert.Throws<RequestException>(() =>
            other.Server.Library!.Of(new Caller("local") { Limits = new CallerLimits { OpenBytes = one - 1 } }).Lease(["m1"]));
        Assert.Equal((400, "memory_too_large"), (e.Status, e.Code));
        Assert.Contains("for the key of 'local'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnIndexOverThemCounts()
    {
        using var engine = TinyEngine.Create(
            MadeMemory.Config, new RetrievalOptions { TopK = 2, WindowBlocks = 2, Index = LandmarkIndex.Hierarchical }, marks: true);
        Directory.CreateDirectory(Path.GetDirectoryName(memories.File("m"))!);
        MadeMemory.Make(memories.File("m0"), engine, ScalarType.Float32, [("it", MadeMemory.Text(4 * 2200))]);
        await using var server = await TestServer.Start(engine, new QuestionTemplate(), o => o.Memories = memories.Folder["library"]);
        using var lease = Shelf(server).Lease(["m0"]);
        await Taken(lease);
        var opened = lease.Memory.Opened;
        using var session = engine.NewSession(opened);
        session.Append(MadeMemory.Text(40));
        Assert.Single(session.Generate(new GenerationOptions { MaxTokens = 1, StopAtEndOfText = false }));
        Assert.True(opened.IndexBytes > 0);
        Assert.Equal(SharedLandmarks.BytesOf(opened.Model, opened.Blocks, ScalarType.Float32) + opened.IndexBytes, lease.Bytes);
        Assert.Equal(lease.Bytes, server.Server.Library!.OpenBytes);
    }

    [Fact]
    public async Task LongOnesAreMadeReadyWhereThereIsRoom()
    {
        using var made = new ToolModel();
        using var engine = LandmarkEngine.Load(made.Path);
        Directory.CreateDirectory(Path.GetDirectoryName(memories.File("m"))!);
        foreach (var (name, blocks) in (ReadOnlySpan<(string, int)>)[("short", 100), ("long", 600), ("other", 600)])
            MadeMemory.Make(memories.File(name), engine, ScalarType.Float32, [("it", MadeMemory.Text(engine.Config.Landmark!.BlockTokens * blocks))]);
        long one;
        using (var opened = engine.OpenMemory([memories.File("long")]))
            one = OpenMemory.BytesOf(opened.Model, opened.Blocks, ScalarType.Float32, LandmarkIndex.Exact);
        await using var server = await TestServer.Start(
            engine, new QuestionTemplate(), o => (o.Memories, o.MemoryOpenBytes) = (memories.Folder["library"], one));
        var shelf = Shelf(server);
        shelf.Prepare(["short"]);
        shelf.Prepare(["none"]);
        Assert.Equal(0, server.Server.Library!.OpenBytes);
        shelf.Prepare(["long"]);
        using (var asked = shelf.Lease(["long"]))
        {
            await Taken(asked);
            var opened = asked.Memory.Opened;
            await TestServer.Until(() => opened.IsSearched);
        }
        shelf.Prepare(["other"]);                                                           // nothing is closed for it
        using (var again = shelf.Lease(["long"]))
        {
            await Taken(again);
            Assert.True(again.Memory.Opened.IsSearched);
        }
        using var other = shelf.Lease(["other"]);
        await Taken(other);
        shelf.Prepare(["other"]);
        await TestServer.Until(() => other.Memory.Opened.IsSearched);
        Assert.Equal(one, server.Server.Library.OpenBytes);
    }

    [Fact]
    public async Task AKeysRoomIsItsOwnAndKeepsNoOtherWaiting()
    {
        var one = await Make("m0", "m1");
        string[] all = [keys.Create("anna", new CallerLimits { OpenBytes = one }), keys.Create("ben")];
        foreach (var name in (string[])["anna", "ben"])
            foreach (var file in (string[])["m0", "m1"])
            {
                Directory.CreateDirectory(memories.Folder[$"library/{name}"]);
                File.Copy(memories.File(file), memories.Folder[$"library/{name}/{file}.memory"]);
            }
        await using var server = await memories.Start(o => (o.Keys, o.MemoryOpenBytes) = (keys.File.Path, 4 * one));
        using var busy = server.Server.Library!.Of(new Caller("anna") { Limits = new CallerLimits { OpenBytes = one } }).Lease(["m0"]);
        await Taken(busy);
        Task<HttpResponseMessage> Ask(int key, string memory) =>
            KeyRoom.Ask(server, all[key], "v1/completions", $"\"prompt\":\"The code\",\"max_tokens\":2,\"memories\":[\"{memory}\"]");
        var waits = Ask(0, "m1");
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 1);
        using (var plain = await KeyRoom.Complete(server, all[0], "The sea", 1))
        using (var other = await Ask(1, "m1"))
            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (other.StatusCode, plain.StatusCode));
        Assert.False(waits.IsCompleted);
        busy.Dispose();
        using var answer = await waits;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task WhoWaitsIsAnsweredFromTheMemoryAsItIsThen()
    {
        var one = await Make("m0", "m1", "m2");
        await using var server = await memories.Start(o => o.MemoryOpenBytes = one);
        var busy = Shelf(server).Lease(["m0"]);
        await Taken(busy);
        Task<HttpResponseMessage>[] wait =
        [
            Asked(server, "Which?", ["m1"], ",\"max_tokens\":8,\"landmark\":{\"passages\":64,\"top_k\":32}"), Asked(server, "Which?", ["m2"]),
        ];
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 2);
        await Add(server, "m1", "more", Sentences(Keeper, 12, 2));
        using (await server.Http.DeleteAsync("v1/memories/m2")) busy.Dispose();
        using HttpResponseMessage grown = await wait[0], gone = await wait[1];
        Assert.Contains(Cited(TestServer.Parse(await grown.Content.ReadAsStringAsync())), c => c.GetProperty("document").GetString() == "more");
        Assert.Equal((HttpStatusCode.NotFound, "memory_not_found"), (await TestServer.Error(gone)) is var error ? (error.Status, error.Code) : default);
    }

    private static string Completion(string memory) =>
        $$"""{"model":"{{ServedModel.Name}}","prompt":"The code","max_tokens":2,"memories":["{{memory}}"]}""";

    private static MemoryShelf Shelf(TestServer server) => server.Server.Library!.Of(Caller.Local);

    /// <summary>Has leases take their memories as soon as there is room, and waits until these are open.</summary>
    private static async Task Taken(params MemoryLease[] leases)
    {
        foreach (var lease in leases) await TestServer.Until(() => lease.Taken is not null || lease.Take() == MemoryRoom.Taken);
        await TestServer.Until(() => Array.TrueForAll(leases, l => l.IsReady));
    }

    /// <summary>Makes memories of the same document, and tells the bytes of each when it is open.</summary>
    private async Task<long> Make(params string[] names)
    {
        var made = memories.Made("made", ("it", Sentences(Code, 8)));
        await using var server = await memories.Start();
        Directory.CreateDirectory(Path.GetDirectoryName(memories.File("m"))!);
        foreach (var name in names) File.Copy(made, memories.File(name));
        using var lease = Shelf(server).Lease([names[0]]);
        Assert.True(lease.Bytes > 0);
        return lease.Bytes;
    }
}
