using System.Text;
using System.Text.Json.Nodes;

namespace LandmarkSharp.Tests.Server.Fuzz;

/// <summary>JSON that is not what is asked for: values in its tree replaced by others and by what is no value, or its bytes damaged.</summary>
internal static class JsonDamage
{
    private const string Mark = "@@here@@", Signs = "{}[]\",:0123456789.eE-+\\u dtfn";

    /// <summary>What stands where a value was, as it is sent: of other types, out of range, twice, too deep, in bytes that are no text.</summary>
    private static readonly Func<Random, string>[] Values =
    [
        _ => "null", _ => "true", _ => "[]", _ => "{}", _ => "\"\"", _ => "0", _ => "-1", _ => "1.5", _ => "1e999", _ => "-1e999", _ => "1e-999",
        _ => "2147483648", _ => "9223372036854775808", r => new string('9', r.Next(20, 2000)), r => $"0.{new string('0', r.Next(1000))}1",
        _ => "NaN", _ => "Infinity", _ => "0x10", _ => "01", _ => "+1", _ => ".5", _ => "1.", _ => "'a'", _ => "undefined", _ => "", _ => "//",
        _ => "/* */1", _ => "\"\\ud800\"", _ => "\"\\udc00\\ud800\"", _ => "\"\\u12\"", _ => "\"\\x41\"", _ => "\"\u0000\"", _ => "\"\\u0000\"",
        _ => "\"a\nb\"", _ => "\"\u00ff\u00fe\"", _ => "\"\u00c0\u00af\"", _ => "\"\u00ed\u00a0\u0080\"", _ => "\"\u00f4\u0090\u0080\u0080\"",
        _ => "\"\u00e2\u0082\"", _ => "\"$ref\"", _ => "{\"$id\":\"1\",\"$type\":\"System.Object\"}", _ => "{\"\":{\"__proto__\":1}}",
        r => Nested('[', ']', r), r => Nested('{', '}', r), r => new string('[', r.Next(100_000)), r => $"\"{new string('a', r.Next(200_000))}\"",
        r => $"[{string.Join(',', Enumerable.Repeat("\"a\"", r.Next(5000)))}]", r => $"[{string.Join(',', Enumerable.Range(0, r.Next(5000)))}]",
        r => $"{{{string.Join(',', Enumerable.Range(0, r.Next(2000)).Select(i => $"\"{i}\":{i}"))}}}",
        _ => "1,\"model\":\"again\"", _ => "1,\"nothing\":2", _ => "[1,]", _ => "{\"a\":1,}", _ => "{\"a\":1,\"a\":2}", _ => "{a:1}", _ => "1}", _ => "1]",
        _ => "\"</script><script>alert(1)</script>\"", _ => "\"'; DROP TABLE memories; --\"", _ => "\"../../etc/passwd\"", _ => "\"{{7*7}}${7*7}%n%s\"",
    ];

    /// <summary>A damaged body.</summary>
    public static byte[] Of(string body, Random random)
    {
        var bytes = random.Next(3) == 0 ? Encoding.UTF8.GetBytes(body) : Tree(body, random);
        return random.Next(3) == 0 ? Bytes(bytes, random) : bytes;
    }

    private static byte[] Tree(string body, Random random)
    {
        var root = JsonNode.Parse(body)!;
        for (var n = random.Next(2); n >= 0; n--)
        {
            var all = Nodes(root).Where(node => node.Parent is not null).ToArray();
            var node = all[random.Next(all.Length)];
            if (random.Next(8) == 0 && node.Parent is JsonObject { } parent) parent[$"field {random.Next()}"] = Mark;
            else node.ReplaceWith(Mark);
        }
        var parts = root.ToJsonString().Split($"\"{Mark}\"");
        // A value's letters above 127 stand for bytes, which need be no UTF-8.
        List<byte> bytes = [.. Encoding.UTF8.GetBytes(parts[0])];
        foreach (var part in parts[1..])
        {
            bytes.AddRange(Encoding.Latin1.GetBytes(Values[random.Next(Values.Length)](random)));
            bytes.AddRange(Encoding.UTF8.GetBytes(part));
        }
        return [.. bytes];
    }

    private static IEnumerable<JsonNode> Nodes(JsonNode node) => (node switch
    {
        JsonObject fields => fields.Select(f => f.Value),
        JsonArray items => items,
        _ => [],
    }).OfType<JsonNode>().SelectMany(Nodes).Prepend(node);

    private static byte[] Bytes(byte[] whole, Random random)
    {
        var body = (byte[])whole.Clone();
        for (var n = random.Next(4); n >= 0 && body.Length > 0; n--)
        {
            var at = random.Next(body.Length);
            if (random.Next(4) == 0) body = body[..at];
            else if (random.Next(3) == 0) body = [.. body[..at], .. body[random.Next(at, body.Length)..]];
            else body[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)Signs[random.Next(Signs.Length)];
        }
        return body;
    }

    private static string Nested(char open, char close, Random random)
    {
        var depth = random.Next(1, 20_000);
        return open == '[' ? new string(open, depth) + new string(close, depth)
            : string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string(close, depth);
    }
}
