using LandmarkSharp.Generation;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// Sessions for texts that come as tokens, without special ones. A model whose tokenizer puts a mark before each text expects it
/// there, so these sessions have read it; it is nobody's token, and counts in no length and no position.
/// </summary>
internal static class EvaluationSession
{
    /// <summary>A session that stands at the start of a text.</summary>
    public static Session Begin(LandmarkEngine engine)
    {
        var session = engine.NewSession();
        if (Marks(engine) > 0) session.Append([engine.Tokenizer.BosId!.Value]);
        return session;
    }

    /// <summary>Tokens that such a session has read before the text.</summary>
    public static int Marks(LandmarkEngine engine) => engine.Tokenizer.AddsBos ? 1 : 0;
}
