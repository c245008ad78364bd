using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Traces as files, and as pages.</summary>
public sealed class TraceFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void WhatWasWrittenIsRead()
    {
        var trace = Trace("a text");
        trace.Save(folder["trace.jsonl"]);
        var read = TraceFile.Load(folder["trace.jsonl"]);
        Assert.Equal(trace.ToJson(), read.ToJson());
        Assert.Equal(trace.Header.Passages, read.Header.Passages);
        Assert.Equal(trace.Tokens[1].Reads.Layers[1][3].Masses, read.Tokens[1].Reads.Layers[1][3].Masses);
        Assert.Equal(1 + trace.Tokens.Count, File.ReadAllLines(folder["trace.jsonl"]).Length);
        Assert.False(File.Exists(folder["trace.jsonl.partial"]));
    }

    [Theory]
    [InlineData(0, "layers", "3", "is damaged: line 2 has 2 layers of 3")]
    [InlineData(0, "heads", "9", "is damaged: line 2 has 4 heads of 9 in a layer")]
    [InlineData(0, "heads", "0", "is damaged: line 1 has 2 layers of 0 heads")]
    [InlineData(0, "layers", "2000000000", "is damaged: line 1 has 2000000000 layers")]
    [InlineData(0, "block_count", "2", "is damaged: line 1 has passages that are not in the order")]
    [InlineData(0, "passages", "[null]", "is damaged: line 1 has passages that are not in the order")]
    [InlineData(0, "passages", "[]", "of which the first line has no passage")]
    [InlineData(0, "generated", "5", "is damaged: it has 3 tokens of 5")]
    [InlineData(0, "landmark_trace", "2", "is a trace of version 2, and version 1 can be read")]
    [InlineData(0, "landmark_trace", null, "is no trace: its first line has no 'landmark_trace'")]
    [InlineData(0, "model", null, "is damaged: line 1 cannot be read")]
    [InlineData(0, "answer", "null", "is damaged: line 1 cannot be read")]
    [InlineData(1, "text", "7", "is damaged: line 2 cannot be read")]
    [InlineData(3, "reads.layers", "[null,null]", "is damaged: line 4 has a layer or head with nothing in it")]
    [InlineData(3, "reads.layers", """[[{"blocks":[0],"masses":[]}]]""", "is damaged: line 4 has 1 layers of 2")]
    [InlineData(2, "reads.queries", "-1", "is damaged: line 3 has -1 queries")]
    [InlineData(2, "reads.layers.0.1.masses", "[]", "is damaged: line 3 has 0 masses for")]
    [InlineData(2, "reads.layers.0.1", """{"blocks":[0],"masses":[1.5]}""", "is damaged: line 3 has masses that are no shares of 1")]
    [InlineData(2, "reads.layers.0.1", """{"blocks":[0],"masses":[-0.5]}""", "is damaged: line 3 has masses that are no shares of 1")]
    [InlineData(2, "reads.layers.0.1", """{"blocks":[0,1],"masses":[0.9,0.9]}""", "is damaged: line 3 has masses that are no shares of 1")]
    public void WhatIsDamagedIsNamed(int line, string field, string? value, string part)
    {
        Trace("a text").Save(folder["trace.jsonl"]);
        var lines = File.ReadAllLines(folder["trace.jsonl"]);
        var changed = JsonNode.Parse(lines[line])!;
        var path = field.Split('.');
        var at = path[..^1].Aggregate(changed, (node, name) => int.TryParse(name, out var i) ? node[i]! : node[name]!);
        if (value is null) at.AsObject().Remove(path[^1]);
        else if (int.TryParse(path[^1], out var index)) at[index] = JsonNode.Parse(value);
        else at[path[^1]] = JsonNode.Parse(value);
        lines[line] = changed.ToJsonString();
        File.WriteAllLines(folder["trace.jsonl"], lines);
        Refused(part);
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("What a day.\n", "is no trace: its first line is not JSON")]
    [InlineData("[1, 2]\n", "is no trace: its first line has no 'landmark_trace'")]
    [InlineData("{\"step\": 1, \"loss\": 3}\n", "is no trace: its first line has no 'landmark_trace'")]
    [InlineData("{\"landmark_trace\": 1}\n", "is damaged: line 1 cannot be read")]
    [InlineData("{\"landmark_trace\": \"x\"}\n", "is a trace of version \"x\"")]
    public void WhatIsNoTraceIsRefused(string content, string part)
    {
        folder.Write("trace.jsonl", content);
        Refused(part);
    }

    [Fact]
    public void WhatIsCutShortIsRefused()
    {
        Trace("a text").Save(folder["trace.jsonl"]);
        var bytes = File.ReadAllBytes(folder["trace.jsonl"]);
        foreach (var share in (double[])[0.1, 0.5, 0.9])
        {
            File.WriteAllBytes(folder["trace.jsonl"], bytes[..(int)(share * bytes.Length)]);
            Refused("; give one that 'landmark ask --trace'");
        }
        Assert.Contains("check the path", Assert.Throws<LandmarkException>(() => TraceFile.Load(folder["none"])).Message, StringComparison.Ordinal);
        Assert.Contains("is a folder", Assert.Throws<LandmarkException>(() => TraceFile.Load(folder.Path)).Message, StringComparison.Ordinal);
    }

    /// <summary>A page needs no network, has all the data, and what a text holds is text.</summary>
    [Fact]
    public void APageHoldsAllThatItNeeds()
    {
        const string hostile = "</script><script>alert(1)</script><!-- {{data}} <b>&amp; “é” \u2028";
        var trace = Trace(hostile);
        trace.SavePage(folder["page.html"]);
        var page = File.ReadAllText(folder["page.html"]);
        foreach (var outside in (string[])["http:", "https:", "src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "import("])
            Assert.DoesNotContain(outside, page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("{{", page.Replace(trace.ToJson(), "", StringComparison.Ordinal), StringComparison.Ordinal);

        var scripts = Regex.Matches(page, "<script[^>]*>(?<code>.*?)</script>", RegexOptions.Singleline | RegexOptions.ExplicitCapture);
        Assert.Equal(2, scripts.Count);
        Assert.DoesNotContain('<', scripts[0].Groups["code"].Value);
        var data = JsonNode.Parse(scripts[0].Groups["code"].Value)!;
        Assert.Equal(hostile, data["header"]!["prompt"]!.GetValue<string>());
        Assert.Equal(hostile, data["header"]!["passages"]![0]!["text"]!.GetValue<string>());
        Assert.Equal(trace.Tokens.Count, data["tokens"]!.AsArray().Count);
        Assert.Equal(trace.Tokens[2].Reads.Layers[1][0].Blocks, data["tokens"]![2]!["reads"]!["layers"]![1]![0]!["blocks"]!.AsArray().Select(b => b!.GetValue<long>()));
        Assert.Contains("<title>What was read: &lt;b&gt;&amp;one</title>", page, StringComparison.Ordinal);

        // Every element that the script asks for is there.
        var markup = page.Replace(scripts[1].Value, "", StringComparison.Ordinal);
        foreach (var id in Regex.Matches(scripts[1].Value, "element\\(\"(?<id>[a-z-]+)\"\\)", RegexOptions.ExplicitCapture).Select(m => m.Groups["id"].Value).Distinct())
            Assert.Contains($"id=\"{id}\"", markup, StringComparison.Ordinal);
    }

    private void Refused(string part)
    {
        var error = Assert.Throws<LandmarkException>(() => TraceFile.Load(folder["trace.jsonl"])).Message;
        new ToolRun(1, "", error + "\n").Says(part);
    }

    /// <summary>An answer of three tokens from a text of which every passage says the same.</summary>
    private static TraceFile Trace(string said)
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(70));
        var tokens = session.Generate(new GenerationOptions { MaxTokens = 3, StopAtEndOfText = false, RecordReads = true }).ToArray();
        var passages = engine.Passages(session.Tokens, tokens.SelectMany(t => t.Reads!.Blocks)).Select(p => p with { Text = said });
        var header = new TraceHeader(
            TraceHeader.Version, "tiny", engine.Config.Layers, engine.Config.Heads, 4, 2, 2, 70, session.Trace.BlockCount, said, said,
            tokens.Length, [.. passages], "books/<b>&one");
        return new TraceFile(header, [.. tokens.Select(t => new TracedToken(t.Id, said, t.Reads!))]);
    }
}
