using System.Text.Json;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Api;

/// <summary>A request to go on with texts.</summary>
internal sealed class CompletionRequest : SamplingRequest
{
    private const int UnaskedTokens = 16, MostLikeliest = 5;

    /// <summary>A text, or its tokens, or several of either.</summary>
    public JsonElement? Prompt { get; set; }

    /// <summary>With how many of the likeliest tokens each comes.</summary>
    public int? Logprobs { get; set; }

    /// <summary>Answers to choose the best ones of: as many as are asked for, or it is refused.</summary>
    public int? BestOf { get; set; }

    /// <summary>How tokens are chosen.</summary>
    public GenerationOptions Sampling(ServerOptions limits)
    {
        Within("logprobs", Logprobs, 0, MostLikeliest);
        if (BestOf is { } best && best != (N ?? 1))
            throw RequestException.Field("best_of", "The field 'best_of' is not supported but where it equals 'n'; leave it out.", "unsupported_field");
        return Sampling(MaxTokens, "max_tokens", UnaskedTokens, limits.MaxAnswerTokens, Logprobs);
    }

    /// <summary>The prompts as tokens.</summary>
    /// <exception cref="RequestException">There is none, or one is neither text nor tokens of the model.</exception>
    public int[][] Prompts(LandmarkEngine engine)
    {
        if (Prompt is not { } prompt) throw Wrong();
        if (prompt.ValueKind != JsonValueKind.Array) return [Tokens(engine, prompt)];
        var parts = prompt.EnumerateArray().ToArray();
        if (parts.Length == 0) throw Wrong();
        return parts[0].ValueKind == JsonValueKind.Number ? [Tokens(engine, parts)] : [.. parts.Select(part => part.ValueKind switch
        {
            JsonValueKind.String => Tokens(engine, part),
            JsonValueKind.Array => Tokens(engine, [.. part.EnumerateArray()]),
            _ => throw Wrong(),
        })];
    }

    private int[] Tokens(LandmarkEngine engine, JsonElement text) =>
        PromptTokens.Of(engine, RequestBody.Text(text, "prompt"), "prompt", atStart: Memories is null);

    private static int[] Tokens(LandmarkEngine engine, JsonElement[] numbers) => PromptTokens.Checked(
        engine, [.. numbers.Select(n => n.ValueKind == JsonValueKind.Number && n.TryGetInt32(out var id) ? id : throw Wrong())], "prompt");

    private static RequestException Wrong() => RequestException.Field(
        "prompt", "The field 'prompt' must be a text, an array of tokens, or an array of either; send one.");
}
