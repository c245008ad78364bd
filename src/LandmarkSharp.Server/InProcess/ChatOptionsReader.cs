using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using Microsoft.Extensions.AI;
using MeaiRole = Microsoft.Extensions.AI.ChatRole;

namespace LandmarkSharp.Server.InProcess;

/// <summary>What Microsoft.Extensions.AI asks for, as the model is asked; what cannot be followed is refused, not ignored.</summary>
internal static class ChatOptionsReader
{
    /// <summary>How tokens are chosen.</summary>
    /// <exception cref="LandmarkException">An option is out of range or is not followed here.</exception>
    public static GenerationOptions Sampling(ChatOptions? options, string? model, int unasked)
    {
        options ??= new ChatOptions();
        void Refuse(string name, bool asked)
        {
            if (asked) throw new LandmarkException($"ChatOptions.{name} is not supported by landmark models here; leave it out.");
        }
        Refuse(nameof(options.ContinuationToken), options.ContinuationToken is not null);
        Refuse(nameof(options.ConversationId), options.ConversationId is not null);
        Refuse(nameof(options.Reasoning), options.Reasoning is not null);
        Refuse(nameof(options.ResponseFormat), options.ResponseFormat is not null and not Microsoft.Extensions.AI.ChatResponseFormatText);
        Refuse(nameof(options.ModelId), options.ModelId is { } other && other != model);
        Refuse(nameof(options.ToolMode), options.ToolMode is RequiredChatToolMode);
        Refuse(nameof(options.Tools), options.Tools is { Count: > 0 });
        Refuse(nameof(options.RawRepresentationFactory), options.RawRepresentationFactory is not null);
        Refuse(nameof(options.AdditionalProperties), options.AdditionalProperties is { Count: > 0 });
        var seed = options.Seed ?? Random.Shared.NextInt64();
        return new GenerationOptions
        {
            MaxTokens = options.MaxOutputTokens ?? unasked,
            Temperature = options.Temperature ?? 1,
            TopP = options.TopP ?? 1,
            TopK = options.TopK ?? 0,
            FrequencyPenalty = options.FrequencyPenalty ?? 0,
            PresencePenalty = options.PresencePenalty ?? 0,
            Seed = (int)(seed ^ (seed >> 32)),
            Stop = [.. options.StopSequences ?? []],
        }.Checked();
    }

    /// <summary>The conversation, with the options' instructions first.</summary>
    /// <exception cref="LandmarkException">A message is not text of someone who speaks.</exception>
    public static ChatTurn[] Turns(IEnumerable<ChatMessage> messages, ChatOptions? options) =>
    [
        .. options?.Instructions is { } instructions ? new[] { new ChatTurn(Chat.ChatRole.System, instructions) } : [],
        .. messages.Select(m => new ChatTurn(Role(m.Role), m.Contents.All(c => c is TextContent) ? m.Text : throw new LandmarkException(
            "A message has more than text, and landmark models read text alone here; leave the rest out."))),
    ];

    private static Chat.ChatRole Role(MeaiRole role) =>
        role == MeaiRole.User ? Chat.ChatRole.User
        : role == MeaiRole.Assistant ? Chat.ChatRole.Assistant
        : role == MeaiRole.System ? Chat.ChatRole.System
        : throw new LandmarkException($"The role '{role}' is not known here; use system, user or assistant.");
}
