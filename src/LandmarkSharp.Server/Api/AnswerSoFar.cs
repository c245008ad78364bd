using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Api;

/// <summary>One answer as it grows.</summary>
internal sealed class AnswerSoFar
{
    private readonly StringBuilder text = new();

    /// <summary>What is shown of it.</summary>
    public string Text => text.ToString();

    /// <summary>Whether anything is.</summary>
    public bool Begun => text.Length > 0;

    /// <summary>Its tokens; the one that ends a text is none of them.</summary>
    public List<GeneratedToken> Tokens { get; } = [];

    /// <summary>Why it ended.</summary>
    public FinishReason? Finish { get; private set; }

    /// <summary>What it was read from, where that is asked for.</summary>
    public AnswerSources? Sources { get; private set; }

    /// <summary>Adds a token.</summary>
    /// <param name="token">The token.</param>
    /// <param name="shown">What it shows.</param>
    /// <param name="sources">With the last one, what the answer was read from.</param>
    public void Add(GeneratedToken token, string shown, AnswerSources? sources)
    {
        Sources = sources;
        text.Append(shown);
        Finish = token.Finish;
        if (token.Finish != FinishReason.EndOfText) Tokens.Add(token);
    }
}
