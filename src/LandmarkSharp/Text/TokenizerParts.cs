namespace LandmarkSharp.Text;

/// <summary>When a stretch of text counts as the start of a text, so that the tokenizer's leading space belongs there.</summary>
internal enum StartRule
{
    /// <summary>Only at the very start.</summary>
    First,

    /// <summary>At the start, and after each special token.</summary>
    AfterSpecial,

    /// <summary>At the start, and after each added token of any sort.</summary>
    AfterAdded,
}

/// <summary>A string that is one token although no merge leads to it.</summary>
/// <param name="Text">Its spelling.</param>
/// <param name="Id">Its token.</param>
/// <param name="Special">Whether it is a mark, which ordinary text must not be able to forge.</param>
internal sealed record AddedToken(string Text, int Id, bool Special)
{
    /// <summary>Whether white space before it belongs to it.</summary>
    public bool TakesSpaceBefore { get; init; }

    /// <summary>Whether white space after it belongs to it.</summary>
    public bool TakesSpaceAfter { get; init; }

    /// <summary>Whether it counts only where no word character touches it.</summary>
    public bool WholeWord { get; init; }
}

/// <summary>What a file reader found out about a tokenizer: everything <see cref="Tokenizer"/> is put together from.</summary>
internal sealed record TokenizerParts
{
    public required string Kind { get; init; }

    public required Vocabulary Vocabulary { get; init; }

    public required TextSplitter Splitter { get; init; }

    public required WordEncoder Encoder { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    public required StartRule StartRule { get; init; }

    public required LeadingSpace LeadingSpace { get; init; }

    public int? BosId { get; init; }

    public int? EosId { get; init; }

    /// <summary>Tokens put before a text when special tokens are asked for.</summary>
    public IReadOnlyList<int> Prefix { get; init; } = [];

    /// <summary>Tokens put after a text when special tokens are asked for.</summary>
    public IReadOnlyList<int> Suffix { get; init; } = [];
}
