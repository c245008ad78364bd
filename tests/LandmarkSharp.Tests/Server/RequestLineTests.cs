using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using LandmarkSharp.Server;

namespace LandmarkSharp.Tests.Server;

/// <summary>What a connection begins with: a version that is none of HTTP's is its client's fault, and all else is for HTTP to judge.</summary>
public sealed class RequestLineTests(ServedModel model) : IClassFixture<ServedModel>
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.0\r\n", true)]
    [InlineData("GET / HTTP/1.1\n", true)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.1", true)]                                                    // not all of it has come
    [InlineData("GET /\r\n", true)]
    [InlineData("\r\n\nGET / HTTP/1.1\r\n", true)]
    [InlineData("\r\n\r\n", true)]
    [InlineData("", true)]
    [InlineData("GET / HTTP/9.9\r\n", false)]
    [InlineData("\r\nGET / HTTP/9.9\r\n", false)]
    [InlineData("GET / HTTP/2.0\r\n", false)]
    [InlineData("GET / http/1.1\r\n", false)]
    [InlineData("GET / HTTP/1.1 x\r\n", false)]
    [InlineData("GET /a b HTTP/1.1\r\n", false)]
    [InlineData("GET / \u00ff\r\n", false)]
    public void TheVersionIsLookedAt(string received, bool passes)
    {
        var bytes = Encoding.Latin1.GetBytes(received);
        Assert.Equal(passes, RequestLine.IsHttp(new ReadOnlySequence<byte>(bytes)));
        // However it is cut in memory.
        foreach (var cut in Enumerable.Range(0, bytes.Length))
        {
            var end = new Piece(bytes[cut..], cut);
            Assert.Equal(passes, RequestLine.IsHttp(new ReadOnlySequence<byte>(new Piece(bytes[..cut], 0, end), 0, end, bytes.Length - cut)));
        }
    }

    [Theory]
    [InlineData("GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n")]
    [InlineData("GET /healthz http/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("POST /v1/completions ÿ\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n")]
    public async Task AnotherVersionIsRefusedInTheProtocolsForm(string request)
    {
        await using var server = await model.Start();
        var answer = await Said(server, [Encoding.Latin1.GetBytes(request)]);
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        var error = TestServer.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]).GetProperty("error");
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
    }

    /// <summary>What is let through is whole, in however many pieces it comes, one request after the other.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task WhatIsHttpIsReadAsItCame(int piece)
    {
        await using var server = await model.Start();
        const string body = $$"""{"model":"{{ServedModel.Name}}","prompt":"The sea","max_tokens":1,"temperature":0}""";
        var request = Encoding.ASCII.GetBytes(
            $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"
            + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        var answer = await Said(server, request.Chunk(piece));
        Assert.Equal(2, answer.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.Contains("text_completion", answer, StringComparison.Ordinal);
        Assert.Contains("\"status\":\"ok\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhoSaysNothingDoesNotHoldAStopUp()
    {
        await using var server = await model.Start();
        using var silent = new TcpClient();
        await silent.ConnectAsync(IPAddress.Loopback, server.Server.Address.Port);
        using (await server.Http.GetAsync("healthz"))
        {
        }
        await server.Server.Stop().WaitAsync(TimeSpan.FromSeconds(5));
    }

    private static async Task<string> Said(TestServer server, IEnumerable<byte[]> pieces)
    {
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(IPAddress.Loopback, server.Server.Address.Port);
        foreach (var piece in pieces) await client.GetStream().WriteAsync(piece);
        using var answer = new StreamReader(client.GetStream(), Encoding.UTF8);
        return await answer.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] bytes, long before, Piece? next = null) => (Memory, RunningIndex, Next) = (bytes, before, next);
    }
}
