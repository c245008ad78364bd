namespace LandmarkSharp.Text;

/// <summary>What decoding does with spaces at the very start of a text.</summary>
internal enum LeadingSpace
{
    /// <summary>The text is shown as its pieces spell it.</summary>
    Kept,

    /// <summary>One space, which encoding had put there, is removed.</summary>
    OneRemoved,

    /// <summary>Spaces are removed until something else comes: the tokenizer drops extra white space anyway.</summary>
    AllRemoved,
}
