using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Api;

/// <summary>A prompt as the model's tokens.</summary>
internal static class PromptTokens
{
    /// <summary>Those of a text, with the mark that the model expects at its start.</summary>
    /// <exception cref="RequestException">It spells none, or one that is no text's.</exception>
    public static int[] Of(LandmarkEngine engine, string text, string field)
    {
        try
        {
            return Checked(engine, engine.Tokenizer.Encode(text, addSpecial: engine.Tokenizer.AddsBos), field);
        }
        catch (LandmarkException e)
        {
            throw RequestException.Field(field, e.Message);
        }
    }

    /// <summary>These, when a text can begin with them.</summary>
    /// <exception cref="RequestException">There are none, or one is no text's.</exception>
    public static int[] Checked(LandmarkEngine engine, int[] tokens, string field)
    {
        if (tokens.Length == 0) throw RequestException.Field(field, "There is no text to go on with; send one.");
        try
        {
            engine.RequireRegular(tokens);
            return tokens;
        }
        catch (LandmarkException e)
        {
            throw RequestException.Field(field, e.Message);
        }
    }
}
