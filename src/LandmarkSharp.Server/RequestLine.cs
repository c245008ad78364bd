using System.Buffers;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Server.Api;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace LandmarkSharp.Server;

/// <summary>
/// Looks at what a connection begins with, before it is read as HTTP: to a first line whose version is none of HTTP's, HTTP's own answer would
/// be 505, as if it were the server's fault. It is the client's, and told so in the protocol's form. Nothing is consumed or changed of what is
/// let through, and only what came at first is looked at, so nothing is waited for that HTTP does not wait for.
/// </summary>
internal static class RequestLine
{
    private const int Longest = 8192;                                                       // of HTTP's own bound to the line

    private static readonly string[] Versions = ["HTTP/1.1", "HTTP/1.0"];

    /// <summary>Lets a connection on, or answers it.</summary>
    /// <param name="connection">The connection, in the clear.</param>
    /// <param name="next">Reads it as HTTP.</param>
    /// <param name="patience">After how long one that sends nothing is closed.</param>
    public static async Task Pass(ConnectionContext connection, ConnectionDelegate next, TimeSpan patience)
    {
        var input = connection.Transport.Input;
        bool isHttp;
        try
        {
            using var late = new CancellationTokenSource(patience);
            using var given = late.Token.Register(connection.Abort);
            using var stopping = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested.Register(connection.Abort);
            var first = await input.ReadAsync();
            isHttp = IsHttp(first.Buffer);
            input.AdvanceTo(first.Buffer.Start);                                            // it is all there for who reads next
            if (!isHttp) await connection.Transport.Output.WriteAsync(Refusal());
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return;                                                                         // its client is gone, or has said nothing
        }
        if (isHttp) await next(connection);
    }

    /// <summary>Whether the first line is for HTTP to judge: its version is one, it has none, or not all of it is there.</summary>
    public static bool IsHttp(ReadOnlySequence<byte> received)
    {
        var reader = new SequenceReader<byte>(received);
        reader.AdvancePastAny((byte)'\r', (byte)'\n');                                      // empty lines before it are no harm
        if (!reader.TryReadTo(out ReadOnlySequence<byte> line, (byte)'\n') || line.Length > Longest) return true;
        // A method, a target and a version, with a space between.
        var parts = Encoding.Latin1.GetString(line).TrimEnd('\r').Split(' ', 3);
        return parts is not [var method, _, var version] || Versions.Contains(version) || (method == "PRI" && version == "HTTP/2.0");
    }

    private static byte[] Refusal()
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(
            ErrorBody.Of(new RequestException(
                StatusCodes.Status400BadRequest, "The request's first line does not end in a version of HTTP; send it as HTTP/1.1.")),
            Protocol.Json.ErrorBody);
        return
        [
            .. Encoding.ASCII.GetBytes(
                $"HTTP/1.1 400 Bad Request\r\nContent-Length: {body.Length}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"), .. body,
        ];
    }
}
