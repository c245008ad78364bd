using System.Text.Json;
using System.Text.RegularExpressions;

namespace LandmarkSharp.Text;

/// <summary>What the <c>normalizer</c> and <c>pre_tokenizer</c> of a <c>tokenizer.json</c> amount to.</summary>
internal sealed class HuggingFaceSplitting
{
    // GPT-2's own, built into the ByteLevel component.
    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly List<SplitRule> rules = [];
    private bool composes;
    private bool marksSpaces;
    private bool addsPrefix;
    private bool prefixOnlyIfMissing;

    private HuggingFaceSplitting() { }

    /// <summary>Whether words are spelled in bytes.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>When a prefix belongs before a stretch of text.</summary>
    public StartRule StartRule { get; private set; } = StartRule.AfterAdded;

    /// <summary>The rules that find words; none when merges go over the whole text.</summary>
    public IReadOnlyList<SplitRule> Rules => rules;

    /// <summary>What happens to the text first.</summary>
    public TextNormalizer Normalizer => new()
    {
        Composes = composes,
        MarksSpaces = marksSpaces,
        AddsPrefix = addsPrefix,
        PrefixOnlyIfMissing = prefixOnlyIfMissing,
    };

    public static HuggingFaceSplitting Read(HuggingFaceJson root)
    {
        var splitting = new HuggingFaceSplitting();
        if (root.Component("normalizer") is { } normalizer) splitting.Normalize(normalizer);
        if (root.Component("pre_tokenizer") is { } preTokenizer) splitting.Split(preTokenizer);
        return splitting;
    }

    private void Normalize(HuggingFaceJson step)
    {
        switch (step.Type)
        {
            case "Sequence":
                foreach (var inner in step.Components("normalizers")) Normalize(inner);
                break;
            case "NFC":
                composes = true;
                break;
            case "Prepend" when step.String("prepend") == "▁":
                (addsPrefix, prefixOnlyIfMissing) = (true, false);
                break;
            case "Replace" when PatternText(step) == " " && step.String("content") == "▁":
                marksSpaces = true;
                break;
            default:
                throw step.Unsupported(Describe(step));
        }
        step.Done();
    }

    private void Split(HuggingFaceJson step)
    {
        switch (step.Type)
        {
            case "Sequence":
                foreach (var inner in step.Components("pretokenizers")) Split(inner);
                break;
            case "Split":
                rules.Add(new SplitRule(Pattern(step), Behavior(step), step.Bool("invert", false)));
                break;
            case "Digits":
                rules.Add(new SplitRule(
                    new Regex(step.Bool("individual_digits", false) ? @"\p{N}" : @"\p{N}+", RegexOptions.CultureInvariant),
                    SplitBehavior.Isolated, false));
                break;
            case "ByteLevel":
                SplitBytes(step);
                break;
            case "Metaspace":
                SplitSpaces(step);
                break;
            default:
                throw step.Unsupported(Describe(step));
        }
        step.Done();
    }

    private void SplitBytes(HuggingFaceJson step)
    {
        if (ByteLevel) throw step.Unsupported("a second ByteLevel");
        ByteLevel = true;
        if (step.Bool("add_prefix_space", true))
        {
            // Inside a sequence it would put a space before every word.
            if (rules.Count > 0) throw step.Unsupported("add_prefix_space after another split");
            (addsPrefix, prefixOnlyIfMissing) = (true, true);
        }
        if (step.Bool("use_regex", true)) rules.Add(new SplitRule(HuggingFacePattern.Compile(Gpt2Pattern), SplitBehavior.Isolated, false));
        // Offsets only.
        step.Ignore("trim_offsets");
    }

    private void SplitSpaces(HuggingFaceJson step)
    {
        if (rules.Count > 0) throw step.Unsupported("Metaspace after another split");
        if (step.String("replacement") is not "▁") throw step.Unsupported("a replacement other than '▁'");
        step.Ignore("str_rep");
        marksSpaces = true;
        // Older files say add_prefix_space, newer ones prepend_scheme.
        var scheme = step.String("prepend_scheme") ?? (step.Bool("add_prefix_space", true) ? "always" : "never");
        step.Ignore("add_prefix_space");
        StartRule = scheme == "first" ? StartRule.First : StartRule.AfterAdded;
        if (scheme is not ("first" or "always" or "never")) throw step.Unsupported($"prepend_scheme '{scheme}'");
        if (scheme != "never") (addsPrefix, prefixOnlyIfMissing) = (true, true);
        if (step.Bool("split", true))
            rules.Add(new SplitRule(new Regex("▁", RegexOptions.CultureInvariant), SplitBehavior.MergedWithNext, false));
    }

    private static SplitBehavior Behavior(HuggingFaceJson step) => step.String("behavior") switch
    {
        "Isolated" => SplitBehavior.Isolated,
        "Removed" => SplitBehavior.Removed,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        var other => throw step.Unsupported($"the behavior '{other}'"),
    };

    private static Regex Pattern(HuggingFaceJson step)
    {
        if (PatternText(step) is { } literal) return new Regex(Regex.Escape(literal), RegexOptions.CultureInvariant);
        if (step.Component("pattern") is not { } pattern || pattern.String("Regex") is not { } regex)
            throw step.Wrong("pattern", "a String or a Regex");
        pattern.Done();
        try
        {
            return HuggingFacePattern.Compile(regex);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw step.Unsupported($"the pattern {regex} ({e.Message.TrimEnd('.')})");
        }
    }

    private static string? PatternText(HuggingFaceJson step) => step.Component("pattern")?.String("String");

    private static string Describe(HuggingFaceJson step) =>
        step.Type is "Prepend" or "Replace"
            ? $"a {step.Type} of something other than '▁'"
            : $"the component {step.Type ?? "without a type"}";
}
