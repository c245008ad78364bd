using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using LandmarkSharp.Tests.Server.Access;

namespace LandmarkSharp.Tests.Server.Fuzz;

/// <summary>
/// A server is sent what it must refuse: it refuses it, goes on, and keeps its memory. <c>LANDMARK_FUZZ</c> asks for more requests than are
/// sent otherwise, as <c>eng/fuzz-server.sh</c> does.
/// </summary>
public sealed class ServerFuzzTests(ITestOutputHelper output)
{
    private const int Usual = 480;
    private const long Growth = 256L << 20;

    [Fact]
    public async Task WhatIsMalformedIsRefusedAndTheServerGoesOn()
    {
        var count = int.Parse(Environment.GetEnvironmentVariable("LANDMARK_FUZZ") ?? $"{Usual}", CultureInfo.InvariantCulture);
        using var keys = new KeyRoom();
        var key = keys.Create("anna");
        await using var process = ServeProcess.Start(
            "--keys", keys.File.Path, "--memories", keys["library"], "--concurrency", "8", "--max-body", "1MiB");
        var before = await Asked(process, key);
        var fuzz = new ServerFuzz(process, key);
        await fuzz.Send(0, count / 4);
        var early = fuzz.Memory;
        await fuzz.Send(count / 4, count - (count / 4));
        var late = fuzz.Memory;
        foreach (var (kind, times) in fuzz.Answers.OrderBy(a => a.Key, StringComparer.Ordinal)) output.WriteLine($"{kind}: {times:N0}");
        output.WriteLine($"{early.Now >> 20} MiB after a quarter, {late.Now >> 20} MiB after {count:N0} requests, {late.Most >> 20} MiB at most");
        Assert.True(fuzz.Wrong.Count == 0, string.Join('\n', fuzz.Wrong.Take(20)));
        Assert.Equal(count, fuzz.Answers.Values.Sum());
        Assert.InRange(late.Now, 0, early.Now + Growth);
        Assert.Equal(before, await Asked(process, key));
        var (code, notes) = await process.Stop();
        Assert.Equal(0, code);
        Assert.DoesNotContain("An answer failed", notes, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", notes, StringComparison.Ordinal);
    }

    private static async Task<string> Asked(ServeProcess process, string key)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(process.Address, "v1/completions"))
        {
            Content = new StringContent(
                $$"""{"model":"{{ServedModel.Name}}","prompt":"The sea","max_tokens":8,"temperature":0}""", Encoding.UTF8, "application/json"),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var response = await http.SendAsync(request);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return TestServer.Parse(body).GetProperty("choices")[0].GetProperty("text").GetString()!;
    }
}
