using System.Text.Json;

namespace LandmarkSharp.Text;

/// <summary>What the <c>post_processor</c> of a <c>tokenizer.json</c> puts before and after a single text.</summary>
internal static class HuggingFaceTemplate
{
    public static (List<int> Prefix, List<int> Suffix) Read(HuggingFaceJson root, string path)
    {
        var (prefix, suffix) = (new List<int>(), new List<int>());
        if (root.Component("post_processor") is { } processor) Add(processor, prefix, suffix);
        return (prefix, suffix);
    }

    private static void Add(HuggingFaceJson step, List<int> prefix, List<int> suffix)
    {
        switch (step.Type)
        {
            case "Sequence":
                foreach (var inner in step.Components("processors")) Add(inner, prefix, suffix);
                break;
            case "ByteLevel":
                // Offsets only.
                step.Ignore("add_prefix_space", "trim_offsets", "use_regex");
                break;
            case "TemplateProcessing":
                AddTemplate(step, prefix, suffix);
                break;
            default:
                throw step.Unsupported($"the component {step.Type ?? "without a type"}");
        }
        step.Done();
    }

    private static void AddTemplate(HuggingFaceJson step, List<int> prefix, List<int> suffix)
    {
        var tokens = step.Component("special_tokens");
        var target = prefix;
        foreach (var item in step.Components("single"))
        {
            if (item.Component("Sequence") is not null)
            {
                if (target == suffix) throw step.Unsupported("a template with the text twice");
                target = suffix;
                continue;
            }
            var name = item.Component("SpecialToken")?.String("id") ?? throw item.Wrong("SpecialToken", "a special token");
            var ids = tokens?.Component(name)?.Field("ids");
            if (ids is not { ValueKind: JsonValueKind.Array } list) throw step.Wrong($"special_tokens['{name}'].ids", "a list of ids");
            target.AddRange(list.EnumerateArray().Select(id => id.GetInt32()));
        }
        if (target == prefix) throw step.Unsupported("a template without the text");
        // How two texts are joined does not matter for one.
        step.Ignore("pair", "special_tokens");
    }
}
