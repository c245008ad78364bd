using System.Text;

namespace LandmarkSharp.Text;

/// <summary>What the <c>decoder</c> of a <c>tokenizer.json</c> amounts to.</summary>
internal sealed class HuggingFaceDecoding
{
    private bool marksSpaces;
    private bool byteFallback;

    private HuggingFaceDecoding() { }

    /// <summary>Whether pieces are spelled in bytes.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>What becomes of spaces at the start of a text.</summary>
    public LeadingSpace LeadingSpace { get; private set; } = LeadingSpace.Kept;

    public static HuggingFaceDecoding Read(HuggingFaceJson root)
    {
        var decoding = new HuggingFaceDecoding();
        decoding.Add(root.Component("decoder") ?? throw root.Wrong("decoder", "there"));
        return decoding;
    }

    /// <summary>A piece of the vocabulary with the bytes it decodes to.</summary>
    public VocabularyEntry Entry(string text, PieceKind kind)
    {
        if (ByteLevel) return new VocabularyEntry(text, kind, ByteAlphabet.Read(text) ?? Encoding.UTF8.GetBytes(text));
        if (byteFallback && SentencePieceModel.ByteOf(text) is { } value) return new VocabularyEntry(text, PieceKind.Byte, [value]);
        return new VocabularyEntry(text, kind, Encoding.UTF8.GetBytes(marksSpaces ? text.Replace(TextNormalizer.Mark, ' ') : text));
    }

    private void Add(HuggingFaceJson step)
    {
        switch (step.Type)
        {
            case "Sequence":
                foreach (var inner in step.Components("decoders")) Add(inner);
                break;
            case "ByteLevel":
                ByteLevel = true;
                step.Ignore("add_prefix_space", "trim_offsets", "use_regex");
                break;
            case "Replace" when step.Component("pattern")?.String("String") == "▁" && step.String("content") == " ":
                marksSpaces = true;
                break;
            case "Metaspace" when step.String("replacement") == "▁":
                marksSpaces = true;
                if ((step.String("prepend_scheme") ?? (step.Bool("add_prefix_space", true) ? "always" : "never")) != "never")
                    LeadingSpace = LeadingSpace.OneRemoved;
                step.Ignore("split", "add_prefix_space", "str_rep");
                break;
            case "ByteFallback":
                byteFallback = true;
                break;
            case "Fuse":
                // Joins the pieces, which decoding to bytes does anyway.
                break;
            case "Strip" when step.String("content") == " " && step.Int("start", 0) is 0 or 1 && step.Int("stop", 0) == 0:
                if (step.Int("start", 0) == 1) LeadingSpace = LeadingSpace.OneRemoved;
                break;
            default:
                throw step.Unsupported($"the component {step.Type ?? "without a type"} in this form");
        }
        step.Done();
    }
}
