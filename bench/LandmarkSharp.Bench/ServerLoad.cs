using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace LandmarkSharp.Bench;

/// <summary>
/// Clients that ask a running server at once, each about a memory of its own with a code of its own in it, over and over: whether every
/// answer is its own, how long answers take, and what the server's process has in RAM after a minute and at the end.
/// </summary>
/// <param name="server">The server, on this machine.</param>
/// <param name="process">Its process, whose memory is looked at.</param>
internal sealed class ServerLoad(Uri server, int process)
{
    private const string Right = "its own answer", Busy = "429, came again";

    private static readonly string[] Things = ["archive", "harbour", "observatory", "greenhouse", "workshop", "monastery", "brewery", "lighthouse"];

    private readonly ConcurrentDictionary<string, int> outcomes = [];
    private readonly ConcurrentBag<double> seconds = [];

    /// <summary>Asks, and prints what came of it.</summary>
    /// <param name="text">What the codes stand among: each memory has another part of it.</param>
    /// <param name="clients">Clients.</param>
    /// <param name="time">For how long they ask.</param>
    public async Task Measure(string text, int clients, TimeSpan time)
    {
        if (!server.IsLoopback) throw new LandmarkException("A load is for a server on this machine alone; start one here.");
        using var http = new HttpClient { BaseAddress = server, Timeout = TimeSpan.FromMinutes(10) };
        var model = (string)(await http.GetFromJsonAsync<JsonNode>("v1/models"))!["data"]![0]!["id"]!;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(i => Make(http, text, i)));
        Console.WriteLine($"{clients} memories are made.");
        var clock = Stopwatch.StartNew();
        var asking = Task.WhenAll(Enumerable.Range(0, clients).Select(async i =>
        {
            while (clock.Elapsed < time) await Ask(http, model, i);
        }));
        var (afterAMinute, end) = (0L, 0L);
        while (await Task.WhenAny(asking, Task.Delay(TimeSpan.FromSeconds(5))) != asking)
        {
            end = Resident();
            if (clock.Elapsed > TimeSpan.FromMinutes(1) && afterAMinute == 0) afterAMinute = end;
        }
        await asking;
        foreach (var (outcome, count) in outcomes.OrderByDescending(o => o.Value)) Console.WriteLine($"{count,8:N0}  {outcome}");
        var failed = outcomes.Where(o => o.Key[0] == '5').Sum(o => o.Value);
        Console.WriteLine(
            $"{outcomes.GetValueOrDefault(Right):N0} of {seconds.Count:N0} answers were right; {failed:N0} of 5xx, {outcomes.GetValueOrDefault(Busy):N0} of 429");
        var sorted = seconds.Order().ToArray();
        Console.WriteLine($"an answer took {sorted[sorted.Length / 2]:F2} s (median), {sorted[(int)(sorted.Length * 0.95)]:F2} s (19 of 20 took less)");
        var grown = afterAMinute == 0 ? "" : $"{afterAMinute / 1e6:N0} MB after a minute, {((double)end / afterAMinute) - 1:+0.0 %;-0.0 %} by the end, ";
        Console.WriteLine($"resident: {grown}{end / 1e6:N0} MB at the end");
    }

    private static string Code(int i) => $"{20011 + (i * 7919 % 79000)}";

    private static string Thing(int i) => Things[i % Things.Length];

    private static string Name(int i) => $"load-{i}";

    /// <summary>
    /// A memory of some thousand tokens, and a code in their middle, said twice as in the rows that the model that ships is trained with: the server
    /// is what is looked at, and a small model may lose the last digits of what is said once.
    /// </summary>
    private static async Task Make(HttpClient http, string text, int i)
    {
        const int Half = 6000;
        await http.DeleteAsync($"v1/memories/{Name(i)}");
        var made = await http.PostAsJsonAsync("v1/memories", new { name = Name(i) });
        made.EnsureSuccessStatusCode();
        string Part(int n) => text.Substring((int)((long)n * Half * 7 % (text.Length - Half)), Half);
        var fact = $"The code of the {Thing(i)} is {Code(i)}. Remember it. {Code(i)} is the code of the {Thing(i)}.";
        var document = $"{Part(2 * i)}\n\n{fact}\n\n{Part((2 * i) + 1)}";
        var url = $"v1/memories/{Name(i)}/documents/text.txt";
        (await http.PutAsync(url, new StringContent(document))).EnsureSuccessStatusCode();
        while ((string?)(await http.GetFromJsonAsync<JsonNode>(url))!["state"] != "ready") await Task.Delay(200);
    }

    private async Task Ask(HttpClient http, string model, int i)
    {
        var clock = Stopwatch.StartNew();
        using var answer = await http.PostAsJsonAsync("v1/chat/completions", new
        {
            model,
            temperature = 0,
            max_tokens = 16,
            memories = new[] { Name(i) },
            messages = new[] { new { role = "user", content = $"What is the code of the {Thing(i)}?" } },
        });
        if (answer.StatusCode == HttpStatusCode.TooManyRequests)
        {
            Count(Busy);
            await Task.Delay(answer.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1));
            return;
        }
        if (!answer.IsSuccessStatusCode)
        {
            Count($"{(int)answer.StatusCode} to client {i}: {await answer.Content.ReadAsStringAsync()}");
            return;
        }
        seconds.Add(clock.Elapsed.TotalSeconds);
        var said = (string)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["choices"]![0]!["message"]!["content"]!;
        Count(said.Contains(Code(i), StringComparison.Ordinal) ? Right : $"another answer of client {i}: {said}, not {Code(i)}");
    }

    private void Count(string outcome) => outcomes.AddOrUpdate(outcome, 1, (_, n) => n + 1);

    private long Resident()
    {
        using var it = Process.GetProcessById(process);
        return it.WorkingSet64;
    }
}
