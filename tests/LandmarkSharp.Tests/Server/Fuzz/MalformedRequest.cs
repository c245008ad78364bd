using System.Text;

namespace LandmarkSharp.Tests.Server.Fuzz;

/// <summary>A request that no server should follow, as bytes.</summary>
/// <param name="Kind">What is wrong with it.</param>
/// <param name="Bytes">What is sent.</param>
/// <param name="Stops">Whether it ends before what it announced; its sender then says that no more comes.</param>
/// <param name="IsHttp">Whether an answer is due: to what is no HTTP a server may just close the connection.</param>
internal sealed record MalformedRequest(string Kind, byte[] Bytes, bool Stops = false, bool IsHttp = true)
{
    private static readonly string[] Methods =
        ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "P", "PO ST", "POST\t", new string('M', 5000), "\u00ff"];

    private static readonly string[] Names =
    [
        "", "%00", "%0a", "%0d%0aX:1", "..", "../..", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f", "..\\..\\", "%5c..", "C:", "con", "~root", "$HOME", "`id`", "%ff%fe",
        "%c0%af", "%ed%a0%80", "%", "%zz", "%u0041", "a b", "a?b", "a#b", "a;b=c", "*", "<script>", "'\"", "{name}", "\u00e9", new string('a', 3000),
        new string('a', 9000), string.Concat(Enumerable.Repeat("../", 500)), string.Concat(Enumerable.Repeat("%2e", 900)), string.Concat(Enumerable.Repeat("a/", 900)),
    ];

    private static readonly string[] Headers =
    [
        "Host: evil.example", "Host: localhost, evil.example", "Host: ", "Host: localhost:99999", "Host: [::1", "Host: a@localhost", "Origin: null",
        "Origin: https://evil.example", "Origin: file://", "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: multipart/form-data; boundary=a", "Content-Type: application/json; charset=utf-16", "Content-Type: ;;;", "Content-Type: \u00ff",
        "Content-Encoding: gzip", "Content-Length: -1", "Content-Length: 1e3", "Content-Length: 99999999999999999999", "Content-Length: 5, 6",
        "Content-Length: +5", "Content-Length: 0x10", "Content-Length: 17179869184", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: \u000bchunked", "Transfer-Encoding: xchunked", "Connection: Upgrade\r\nUpgrade: h2c",
        "Connection: Upgrade\r\nUpgrade: websocket", "Expect: 100-continue", "Expect: something", "Range: bytes=0-", "Accept: \u0000", "X: a\r\n folded", "X : a",
        ": a", "X", "\u00ff: a", "X: \u00ff", "X: a\rb", "X: a\nb", "(): a", $"X: {new string('a', 20_000)}", $"X: {new string('a', 40_000)}",
        $"{new string('X', 9000)}: a", string.Join("\r\n", Enumerable.Range(0, 150).Select(i => $"X-{i}: a")), "Cookie: a=b; a=c", "Authorization: Bearer", "Authorization: Bearer x",
        "Authorization: Basic YTpi", "Authorization: Bearer \u00ff", "Authorization: Negotiate", $"Authorization: Bearer {new string('a', 10_000)}",
        "X-Forwarded-Host: evil.example", "X-HTTP-Method-Override: GET", "X-Original-URL: /metrics", "Forwarded: host=evil.example",
    ];

    private static readonly string[] Chunks =
    [
        "", "x", "-1\r\n", "0x1\r\n{\r\n", "5\r\n{}\r\n", "1\r\n{}\r\n0\r\n\r\n", "ffffffff\r\n{", "ffffffffffffffff\r\n{", "10000000000000000\r\n{", "1;a=b\r\n{\r\n",
        "1\r\n{", "1\r\n{\r\n0\r\nX: a\r\n\r\n", "1\r\n{\r\n0\r\nX\r\n\r\n", "0\r\n\r\n", "1\n{\n0\n\n", " 1\r\n{\r\n", "2\r\n{}\r\n0\r\n", "2\r\n{}\r\n0\r\n\r\n",
        $"1;{new string('a', 50_000)}\r\n{{\r\n", $"0\r\n{string.Concat(Enumerable.Repeat("X: a\r\n", 5000))}\r\n", "2\r\n{}\r\nzz\r\n", "g\r\n", $"{new string('0', 2000)}1\r\n{{\r\n",
    ];

    /// <summary>A request, the same for equal numbers.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="host">The server's host and port.</param>
    /// <param name="key">A key that lets its sender in.</param>
    public static MalformedRequest Make(int number, string host, string key)
    {
        var random = new Random(number);
        var bodies = FuzzTarget.All.Where(t => t.Body is not null).ToArray();
        var named = FuzzTarget.All.Where(t => t.Path.Contains("{name}", StringComparison.Ordinal)).ToArray();
        var target = bodies[random.Next(bodies.Length)];
        var line = $"{target.Path.Replace("{name}", "stones", StringComparison.Ordinal)} HTTP/1.1";
        string[] head = [$"Host: {host}", $"Authorization: Bearer {key}"];
        var body = JsonDamage.Of(target.Body!, random);
        string[] plain = [.. head, "Content-Type: application/json"];
        switch (random.Next(16))
        {
            case < 9:
                return new("body", Written($"{target.Method} {line}", [.. plain, $"Content-Length: {body.Length}"], body));
            case 9:
                var stopped = body[..random.Next(body.Length + 1)];
                return new(
                    "stopped body", Written($"{target.Method} {line}", [.. plain, $"Content-Length: {body.Length + random.Next(1, 9)}"], stopped), random.Next(3) > 0);
            case 10:
                var chunk = Encoding.Latin1.GetBytes(Pick(Chunks, random));
                return new(
                    "chunks", Written($"{target.Method} {line}", [.. plain, "Transfer-Encoding: chunked"], chunk), random.Next(3) > 0);
            case 11 or 12:
                // Before, after or in place of the right ones.
                var wrong = Pick(Headers, random);
                string[] right = [.. plain, $"Content-Length: {body.Length}"];
                string[] all = random.Next(3) switch
                {
                    0 => [wrong, .. right],
                    1 => [.. right, wrong],
                    _ => [.. right.Where(h => h.Split(':')[0] != wrong.Split(':')[0]), wrong],
                };
                return new("header", Written($"{target.Method} {line}", all, body));
            case 13:
                var method = Pick(Methods, random);
                return new("method", Written($"{method} {line}", [.. plain, "Content-Length: 2"], "{}"u8.ToArray()));
            case 14:
                var at = named[random.Next(named.Length)];
                var path = random.Next(2) == 0 ? at.Path.Replace("{name}", $"{Pick(Names, random)}x", StringComparison.Ordinal) : $"/{Pick(Names, random)}x{at.Path}";
                var version = random.Next(8) == 0 ? Pick(["HTTP/9.9", "HTTP/0.9", "HTTP/1.1 x", "http/1.1", "", "\u00ff"], random) : "HTTP/1.1";
                var content = at.Body is null ? [] : JsonDamage.Of(at.Body, random);
                return new("path", Written($"{at.Method} {path} {version}", [.. plain, $"Content-Length: {content.Length}"], content));
            default:
                var noise = new byte[random.Next(1, 4000)];
                random.NextBytes(noise);
                byte[][] others =
                [
                    noise, [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, .. noise],                // TLS's first words
                    [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. noise], "\r\n\r\n\r\n"u8.ToArray(), Encoding.ASCII.GetBytes(new string('\n', 3000)),
                    "GET"u8.ToArray(), "GET / HTTP/1.1\r\nHost"u8.ToArray(), "GET /\r\n\r\n"u8.ToArray(),
                ];
                return new("no HTTP", others[random.Next(others.Length)], Stops: true, IsHttp: false);
        }
    }

    private static string Pick(string[] from, Random random) => from[random.Next(from.Length)];

    // Letters up to 255 are sent as the bytes that they number.
    private static byte[] Written(string line, string[] headers, byte[] body) =>
        [.. Encoding.Latin1.GetBytes($"{line}\r\n{string.Join("\r\n", headers)}\r\nConnection: close\r\n\r\n"), .. body];
}
