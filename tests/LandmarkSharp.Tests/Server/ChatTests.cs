using System.ClientModel;
using OpenAI.Chat;

namespace LandmarkSharp.Tests.Server;

/// <summary>Conversations, by the official client.</summary>
public sealed class ChatTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Notes = "The keeper of the lighthouse is Anna Berg. The code of the archive is 4711.";

    private static readonly ChatCompletionOptions Greedy = new() { Temperature = 0 };

    private static ChatMessage[] Asked => [new SystemChatMessage(Notes), new UserChatMessage("What is the code of the archive?")];

    private static string Prompt => $"{Notes}\n\nQuestion: What is the code of the archive?\nAnswer:";

    [Fact]
    public async Task AnAnswerIsTheSessionsOwnWithoutTheSpaceBeforeIt()
    {
        await using var server = await model.Start();
        ChatCompletion answer = await server.Chat.CompleteChatAsync(Asked, Greedy);
        Assert.Equal("4711.", answer.Content[0].Text);
        Assert.Equal(model.Own(Prompt, 100, "\n").TrimStart(), answer.Content[0].Text);
        Assert.Equal((ChatFinishReason.Stop, ChatMessageRole.Assistant, ServedModel.Name), (answer.FinishReason, answer.Role, answer.Model));
        Assert.Equal(model.Engine.Tokenizer.Encode(Prompt, addSpecial: true).Length, answer.Usage.InputTokenCount);
        Assert.Equal(answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task AStreamIsTheSameInPieces()
    {
        await using var server = await model.Start();
        ChatCompletion whole = await server.Chat.CompleteChatAsync(Asked, Greedy);
        List<StreamingChatCompletionUpdate> updates = [];
        await foreach (var update in server.Chat.CompleteChatStreamingAsync(Asked, Greedy)) updates.Add(update);
        var pieces = updates.SelectMany(u => u.ContentUpdate).Select(p => p.Text).ToArray();
        Assert.True(pieces.Length > 3);
        Assert.Equal(whole.Content[0].Text, string.Concat(pieces));
        Assert.Equal(ChatMessageRole.Assistant, updates[0].Role);
        Assert.Single(updates.Select(u => u.CompletionId).Distinct());
        Assert.Equal(ChatFinishReason.Stop, Assert.Single(updates, u => u.FinishReason is not null).FinishReason);
        Assert.Equal(whole.Usage.OutputTokenCount, Assert.Single(updates, u => u.Usage is not null).Usage.OutputTokenCount);
    }

    [Fact]
    public async Task AConversationsEarlierTurnsAreNotReadAgain()
    {
        var book = string.Join(' ', Enumerable.Range(0, 120).Select(i => $"Box {i} holds the key {i * 37}."));
        await using var server = await model.Start();
        List<ChatMessage> said = [new SystemChatMessage($"{book} {Notes}"), new UserChatMessage("What is the code of the archive?")];
        ChatCompletion first = await server.Chat.CompleteChatAsync(said, Greedy);
        Assert.Equal(0, first.Usage.InputTokenDetails.CachedTokenCount);
        said.AddRange([new AssistantChatMessage(first.Content[0].Text), new UserChatMessage("Who is the keeper of the lighthouse?")]);
        ChatCompletion second = await server.Chat.CompleteChatAsync(said, Greedy);
        Assert.InRange(second.Usage.InputTokenDetails.CachedTokenCount, first.Usage.InputTokenCount - 64, first.Usage.InputTokenCount + 16);

        await using var fresh = await model.Start(o => o.CacheBytes = 0);
        ChatCompletion again = await fresh.Chat.CompleteChatAsync(said, Greedy);
        Assert.Equal((again.Content[0].Text, 0), (second.Content[0].Text, again.Usage.InputTokenDetails.CachedTokenCount));
    }

    [Fact]
    public async Task TokensComeWithTheirLikelihood()
    {
        await using var server = await model.Start();
        ChatCompletion answer = await server.Chat.CompleteChatAsync(
            Asked, new ChatCompletionOptions { Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 3, StopSequences = { "11" } });
        Assert.Equal("47", answer.Content[0].Text);
        var tokens = answer.ContentTokenLogProbabilities;
        Assert.Equal(" 4711", string.Concat(tokens.Select(t => t.Token)));
        Assert.All(tokens, t =>
        {
            Assert.Equal(3, t.TopLogProbabilities.Count);
            Assert.Equal((t.Token, t.LogProbability), (t.TopLogProbabilities[0].Token, t.TopLogProbabilities[0].LogProbability));
            Assert.Equal(t.Token, System.Text.Encoding.UTF8.GetString(t.Utf8Bytes!.Value.Span));
            Assert.True(t.LogProbability is <= 0 and > -1);
        });
        using var session = model.Engine.NewSession();
        session.Append(Prompt);
        List<double> scored = [];
        session.Score(model.Engine.Tokenizer.Encode(" 4711", atStart: false), (_, each) => scored.AddRange(each.Select(p => (double)p)));
        Assert.Equal(scored.TakeLast(tokens.Count).Sum(), tokens.Sum(t => t.LogProbability), 0.01);
    }

    [Fact]
    public async Task TheClientIsToldWhatIsWrong()
    {
        await using var server = await model.Start();
        var e = await Assert.ThrowsAsync<ClientResultException>(async () => await server.Chat.CompleteChatAsync(
            [new SystemChatMessage("a"), new AssistantChatMessage("b")], Greedy));
        Assert.Equal(400, e.Status);
        Assert.Contains("no question to answer", e.Message, StringComparison.Ordinal);
        e = await Assert.ThrowsAsync<ClientResultException>(async () => await server.Chat.CompleteChatAsync(
            Asked, new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonObjectFormat() }));
        Assert.Contains("response_format", e.Message, StringComparison.Ordinal);
    }
}
