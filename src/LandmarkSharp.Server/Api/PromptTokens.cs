using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Api;

/// <summary>A prompt as the model's tokens.</summary>
internal static class PromptTokens
{
    /// <summary>Those of a text, with the mark that the model expects at its start where nothing comes before it.</summary>
    /// <exception cref="RequestException">It spells none, or one that is no text's.</exception>
    public static int[] Of(LandmarkEngine engine, string text, string field, bool atStart = true)
    {
        try
        {
            return Checked(engine, engine.Tokenizer.Encode(text, addSpecial: atStart && engine.Tokenizer.AddsBos, atStart: atStart), field);
        }
        catch (LandmarkException e)
        {
            throw RequestException.Field(field, e.Message);
        }
    }

    /// <summary>What tokens spell.</summary>
    public static string Text(LandmarkEngine engine, int[] tokens)
    {
        var decoder = engine.Tokenizer.CreateDecoder(atStart: false);
        return string.Concat(tokens.Select(decoder.Push)) + decoder.Flush();
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
