using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;

namespace LandmarkSharp.Tests.Text;

/// <summary>A piece of a SentencePiece model; types as in the file: 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte.</summary>
internal readonly record struct TestPiece(string Text, float Score = 0, int Type = 1);

/// <summary>Writes tokenizer files for tests: SentencePiece's protobuf and Hugging Face's JSON.</summary>
internal static class TokenizerBuilder
{
    public const string Gpt2Split = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public const string Llama3Split =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Qwen2Split =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string ByteLevel = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";

    public const string ByteLevelDecoder = """{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""";

    public const string LlamaNormalizer =
        """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},"""
        + """{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""";

    public const string LlamaDecoder =
        """
        {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
        {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}
        """;

    /// <summary>A pre-tokenizer that splits by a pattern, then spells bytes.</summary>
    public static string SplitThenBytes(string pattern) =>
        $$"""
        {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(pattern)}}},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}
        """;

    /// <summary>A tokenizer.json; components are given as JSON.</summary>
    public static string Json(
        IEnumerable<string> vocabulary, IEnumerable<string> merges, string? normalizer = null, string? preTokenizer = null,
        string? decoder = null, string? postProcessor = null, string added = "[]", string model = "{}")
    {
        var modelNode = JsonNode.Parse(model)!.AsObject();
        modelNode["type"] ??= "BPE";
        modelNode["vocab"] = new JsonObject(vocabulary.Select((text, id) => KeyValuePair.Create(text, (JsonNode?)id)));
        modelNode["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode?)merge)]);
        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = JsonNode.Parse(added),
            ["normalizer"] = Node(normalizer),
            ["pre_tokenizer"] = Node(preTokenizer),
            ["post_processor"] = Node(postProcessor),
            ["decoder"] = Node(decoder),
            ["model"] = modelNode,
        }.ToJsonString();

        static JsonNode? Node(string? json) => json is null ? null : JsonNode.Parse(json);
    }

    /// <summary>A byte-level tokenizer.json whose vocabulary is the 256 bytes and what the merges make of them.</summary>
    public static string ByteLevelJson(
        IReadOnlyList<string> merges, string? preTokenizer = ByteLevel, string? normalizer = null, string? postProcessor = null,
        string added = "[]", string model = "{}") =>
        Json([.. Bytes(), .. merges.Select(merge => merge.Replace(" ", ""))], merges, normalizer, preTokenizer,
            ByteLevelDecoder, postProcessor, added, model);

    /// <summary>The 256 bytes in GPT-2's spelling.</summary>
    public static IEnumerable<string> Bytes()
    {
        var next = 256;
        for (var b = 0; b < 256; b++)
            yield return ((char)(b is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255) ? b : next++)).ToString();
    }

    /// <summary>The pieces &lt;0x00&gt; … &lt;0xFF&gt;.</summary>
    public static IEnumerable<TestPiece> BytePieces() => Enumerable.Range(0, 256).Select(b => new TestPiece($"<0x{b:X2}>", 0, 6));

    /// <summary>A SentencePiece model.</summary>
    public static byte[] Model(
        IEnumerable<TestPiece> pieces, bool byteFallback = true, bool dummyPrefix = true, bool removeExtraSpaces = false,
        int modelType = 2, byte[]? characterMap = null, bool escapeSpaces = true, bool spaceAsSuffix = false)
    {
        using var file = new MemoryStream();
        var output = new CodedOutputStream(file);
        foreach (var piece in pieces)
        {
            Message(output, 1, inner =>
            {
                inner.WriteTag(1, WireFormat.WireType.LengthDelimited);
                inner.WriteString(piece.Text);
                inner.WriteTag(2, WireFormat.WireType.Fixed32);
                inner.WriteFloat(piece.Score);
                inner.WriteTag(3, WireFormat.WireType.Varint);
                inner.WriteInt32(piece.Type);
            });
        }
        Message(output, 2, inner =>
        {
            inner.WriteTag(3, WireFormat.WireType.Varint);
            inner.WriteInt32(modelType);
            Flag(inner, 24, spaceAsSuffix);
            Flag(inner, 35, byteFallback);
        });
        Message(output, 3, inner =>
        {
            if (characterMap is not null)
            {
                inner.WriteTag(2, WireFormat.WireType.LengthDelimited);
                inner.WriteBytes(ByteString.CopyFrom(characterMap));
            }
            Flag(inner, 3, dummyPrefix);
            Flag(inner, 4, removeExtraSpaces);
            Flag(inner, 5, escapeSpaces);
        });
        output.Flush();
        return file.ToArray();
    }

    private static void Flag(CodedOutputStream output, int field, bool value)
    {
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteBool(value);
    }

    private static void Message(CodedOutputStream output, int field, Action<CodedOutputStream> write)
    {
        using var content = new MemoryStream();
        var inner = new CodedOutputStream(content);
        write(inner);
        inner.Flush();
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(content.ToArray()));
    }
}
