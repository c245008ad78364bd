using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace LandmarkSharp.Tests.Server.Fuzz;

/// <summary>Sends malformed requests to a server, and tells how it answered.</summary>
/// <param name="process">The server.</param>
/// <param name="key">A key that lets in.</param>
internal sealed class ServerFuzz(ServeProcess process, string key)
{
    private const int Senders = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<string, int> answers = new();
    private readonly ConcurrentQueue<string> wrong = new();

    /// <summary>How many requests of each kind had each answer.</summary>
    public IReadOnlyDictionary<string, int> Answers => answers;

    /// <summary>What was answered as it must not be, with the request's number.</summary>
    public IReadOnlyCollection<string> Wrong => wrong;

    /// <summary>The server's memory in bytes, and the most that it had.</summary>
    public (long Now, long Most) Memory
    {
        get
        {
            var status = File.ReadAllLines($"/proc/{process.Id}/status");
            long Kilobytes(string name) => long.Parse(
                status.Single(l => l.StartsWith(name + ":", StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            return (Kilobytes("VmRSS") << 10, Kilobytes("VmHWM") << 10);
        }
    }

    /// <summary>Sends requests of some numbers.</summary>
    public async Task Send(int first, int count)
    {
        var next = first - 1;
        await Task.WhenAll(Enumerable.Range(0, Senders).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var number && number < first + count) await Send(number);
        })));
    }

    private async Task Send(int number)
    {
        var request = MalformedRequest.Make(number, process.Address.Authority, key);
        var clock = Stopwatch.StartNew();
        var answer = "";
        try
        {
            answer = await Answer(request);
        }
        catch (OperationCanceledException)
        {
            wrong.Enqueue($"{number} {request.Kind}: no answer in {clock.Elapsed}");
            return;
        }
        var status = answer.Split(' ') is ["HTTP/1.1", var code, ..] ? code : "closed";
        answers.AddOrUpdate($"{request.Kind} {status}", 1, (_, n) => n + 1);
        var right = status == "closed" ? !request.IsHttp || request.Stops : status[0] == '4';
        if (!right || answer.Contains("Exception", StringComparison.Ordinal) || answer.Contains("System.", StringComparison.Ordinal))
            wrong.Enqueue($"{number} {request.Kind}: {answer}");
    }

    private async Task<string> Answer(MalformedRequest request)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(process.Address.Host, process.Address.Port, patience.Token);
        var answer = new MemoryStream();
        try
        {
            for (var sent = 0; sent < request.Bytes.Length;) sent += await socket.SendAsync(request.Bytes.AsMemory(sent), patience.Token);
            if (request.Stops) socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // It was answered before all was sent.
        }
        try
        {
            var piece = new byte[4096];
            while (await socket.ReceiveAsync(piece, patience.Token) is > 0 and var bytes) answer.Write(piece, 0, bytes);
        }
        catch (SocketException)
        {
            // What was not read of the request ends the connection roughly.
        }
        return Encoding.UTF8.GetString(answer.ToArray());
    }
}
