namespace LandmarkSharp.Training.Tasks;

/// <summary>What a token of a retrieval task is, as something to be predicted.</summary>
public enum TokenKind : byte
{
    /// <summary>Text: filler, statements, questions.</summary>
    Text,

    /// <summary>A value said again inside its statement: it can be copied from a few words before.</summary>
    Echo,

    /// <summary>An answer, with the token that ends it: it must be found in the text before.</summary>
    Answer,
}

/// <summary>Which words and wordings a task is made of; the two sets have no wording in common.</summary>
public enum TaskSplit
{
    /// <summary>For training.</summary>
    Training,

    /// <summary>Kept out of training, to judge what was learned.</summary>
    HeldOut,
}

/// <summary>What a retrieval task asks for.</summary>
public enum TaskFamily
{
    /// <summary>A pass key, in the wording of the paper's test.</summary>
    PassKey,

    /// <summary>One number or word, in many wordings.</summary>
    Key,

    /// <summary>Several of the same form, of which some are asked for.</summary>
    Keys,

    /// <summary>Facts about named things.</summary>
    Fact,

    /// <summary>Entries of a list or table.</summary>
    Record,

    /// <summary>A sentence about someone, word by word.</summary>
    Sentence,

    /// <summary>The continuation of a passage that stood in the text before.</summary>
    Quote,

    /// <summary>Facts in a wording that no other row has.</summary>
    Wording,

    /// <summary>The same, with answers of several words.</summary>
    LongAnswer,

    /// <summary>What follows from two facts that stand apart, by something that both name.</summary>
    Chain,

    /// <summary>Two facts about one, which stand apart and are asked for together.</summary>
    Pair,
}

/// <summary>A row of regular tokens with something to find in it.</summary>
/// <param name="Family">What is asked.</param>
/// <param name="Tokens">The tokens; landmarks are put in later.</param>
/// <param name="Kinds">What each token is.</param>
public sealed record TaskRow(TaskFamily Family, int[] Tokens, TokenKind[] Kinds);
