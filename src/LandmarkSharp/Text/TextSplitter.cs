namespace LandmarkSharp.Text;

/// <summary>Turns ordinary text (no added tokens in it) into fragments: normalises it, then finds the words.</summary>
internal abstract class TextSplitter
{
    /// <summary>Splits one stretch of text.</summary>
    /// <param name="text">The text as the user gave it.</param>
    /// <param name="atStart">Whether nothing stands before it; only then is a leading space added or removed.</param>
    public abstract IEnumerable<Fragment> Split(string text, bool atStart);
}
