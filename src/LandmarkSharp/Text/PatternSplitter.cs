namespace LandmarkSharp.Text;

/// <summary>
/// For tokenizers that find words by patterns first (GPT-2 and what came after it): each rule splits the words that
/// the rule before it left.
/// </summary>
internal sealed class PatternSplitter(TextNormalizer normalizer, IReadOnlyList<SplitRule> rules) : TextSplitter
{
    public override IEnumerable<Fragment> Split(string text, bool atStart)
    {
        var normalized = normalizer.Normalize(text, atStart);
        var seen = new CodePoints(normalized.Text);
        foreach (var word in rules.Count > 0 ? rules[0].Split(seen.Text) : [Range.All])
        {
            // Only the first rule sees the text as a whole, so only where its words start may the text be cut.
            var (start, length) = word.GetOffsetAndLength(seen.Text.Length);
            var first = true;
            foreach (var (from, to) in Split(seen.Text, start, start + length, 1))
            {
                var origin = seen.Origin(from);
                yield return new Fragment(
                    normalized.Text, origin, seen.Origin(to) - origin, Fragment.Word,
                    first && from == start ? normalized.CutAt(origin) : Fragment.NoCut);
                first = false;
            }
        }
    }

    private IEnumerable<(int From, int To)> Split(string text, int from, int to, int rule)
    {
        if (rule >= rules.Count) return [(from, to)];
        return rules[rule].Split(text.AsSpan(from, to - from))
            .SelectMany(word => Split(text, from + word.Start.Value, from + word.End.Value, rule + 1));
    }
}
