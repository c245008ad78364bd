namespace LandmarkSharp.Generation;

/// <summary>How the next tokens are chosen, and when to stop. The defaults are greedy.</summary>
public sealed record GenerationOptions
{
    /// <summary>Regular tokens to generate at most.</summary>
    public int MaxTokens { get; init; } = 128;

    /// <summary>Divides the logits before the softmax; 0 takes the likeliest token.</summary>
    public double Temperature { get; init; }

    /// <summary>Keeps the k likeliest tokens; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keeps the likeliest tokens whose probabilities reach this sum; 1 keeps all.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Keeps tokens at least this many times as likely as the likeliest; 0 keeps all.</summary>
    public double MinP { get; init; }

    /// <summary>
    /// Divides positive logits of recent tokens and multiplies negative ones (Keskar et al. 2019,
    /// section 4.1); 1 is off.
    /// </summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>How many tokens back the repetition penalty looks.</summary>
    public int RepetitionWindow { get; init; } = 256;

    /// <summary>
    /// Taken from a token's logit for each time that it was chosen in this answer, as OpenAI's protocol has it; below 0 makes it likelier, and
    /// 0 is off.
    /// </summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Taken once from the logits of all tokens that were chosen in this answer, as OpenAI's protocol has it; 0 is off.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Equal seeds give equal answers.</summary>
    public int Seed { get; init; }

    /// <summary>Generation ends before any of these.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Whether a token that ends a text ends generation.</summary>
    public bool StopAtEndOfText { get; init; } = true;

    /// <summary>
    /// Whether each token comes with <see cref="GeneratedToken.Reads"/>, for models with landmarks. For each layer and query head it takes
    /// some tens of bytes a block.
    /// </summary>
    public bool RecordReads { get; init; }

    /// <summary>Whether these tell besides how each block's share is divided among its tokens: <see cref="TokenReads.TokenShares"/>.</summary>
    public bool RecordTokenShares { get; init; }

    /// <summary>
    /// With how many of the likeliest tokens each token's <see cref="GeneratedToken.LogProbabilities"/> come: 0 for its own alone; null for
    /// none.
    /// </summary>
    public int? LogProbabilities { get; init; }

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">A number is out of range, or a stop string is empty.</exception>
    public GenerationOptions Checked()
    {
        void Require(bool holds, string what)
        {
            if (!holds) throw new LandmarkException(what);
        }
        Require(MaxTokens >= 0, $"The number of tokens to generate is {MaxTokens}; it must be 0 or more.");
        Require(Temperature >= 0 && double.IsFinite(Temperature), $"The temperature is {Temperature}; it must be 0 or more.");
        Require(TopK >= 0, $"Sampling's top-k is {TopK}; it must be at least 1, or 0 for all.");
        Require(TopP is > 0 and <= 1, $"Sampling's top-p is {TopP}; it must lie above 0 and not above 1.");
        Require(MinP is >= 0 and <= 1, $"Sampling's min-p is {MinP}; it must lie between 0 and 1.");
        Require(RepetitionPenalty > 0 && double.IsFinite(RepetitionPenalty),
            $"The repetition penalty is {RepetitionPenalty}; it must be above 0.");
        Require(RepetitionWindow >= 0, $"The repetition window is {RepetitionWindow}; it must be 0 or more.");
        Require(double.IsFinite(FrequencyPenalty), $"The frequency penalty is {FrequencyPenalty}; it must be a number.");
        Require(double.IsFinite(PresencePenalty), $"The presence penalty is {PresencePenalty}; it must be a number.");
        Require(RecordReads || !RecordTokenShares, "Shares of tokens are told with what is read; ask for both, or leave them out.");
        Require(LogProbabilities is null or >= 0, $"The number of the likeliest tokens is {LogProbabilities}; it must be 0 or more.");
        Require(Stop.All(s => s.Length > 0), "A stop string is empty; leave it out.");
        return this;
    }
}

/// <summary>Why generation ended.</summary>
public enum FinishReason
{
    /// <summary>The most tokens allowed were generated.</summary>
    Length,

    /// <summary>A stop string came up.</summary>
    Stop,

    /// <summary>The model ended the text.</summary>
    EndOfText,
}

/// <summary>A step of generation.</summary>
/// <param name="Id">The token; the one that ended the text when <paramref name="Finish"/> says so.</param>
/// <param name="Text">Text that can be shown now; may be empty, while a character or a stop string is incomplete.</param>
/// <param name="Finish">Set on the last step.</param>
public readonly record struct GeneratedToken(int Id, string Text, FinishReason? Finish)
{
    /// <summary>What the token was read from; null unless <see cref="GenerationOptions.RecordReads"/> asks for it.</summary>
    public TokenReads? Reads { get; init; }

    /// <summary>How likely the token was; null unless <see cref="GenerationOptions.LogProbabilities"/> asks for it.</summary>
    public TokenLogProbabilities? LogProbabilities { get; init; }
}
