using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.InProcess;
using LandmarkSharp.Tests.Memory.Files;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace LandmarkSharp.Tests.Server;

/// <summary>The model as Microsoft.Extensions.AI's chat client.</summary>
public sealed class LandmarkChatClientTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Notes = "The keeper of the lighthouse is Anna Berg. The code of the archive is 4711.";

    private static readonly ChatOptions Greedy = new() { Temperature = 0 };

    [Fact]
    public async Task ItAnswersAsTheSessionDoes()
    {
        using var client = Create();
        var question = $"{Notes}\n\nWhat is the code of the archive?";
        var answer = await client.GetResponseAsync(question, Greedy);
        Assert.Equal(("4711.", ChatFinishReason.Stop, ServedModel.Name), (answer.Text, answer.FinishReason!.Value, answer.ModelId));
        var updates = await client.GetStreamingResponseAsync(question, Greedy).ToListAsync();
        Assert.True(updates.Count > 3);
        Assert.Equal("4711.", string.Concat(updates.Select(u => u.Text)));
        Assert.Equal(answer.Usage!.TotalTokenCount, answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount);
        Assert.Equal("4711.", (await client.GetResponseAsync(
            "What is the code of the archive?", new ChatOptions { Temperature = 0, Instructions = Notes })).Text);
        Assert.Same(model.Engine, client.GetService<LandmarkEngine>());
    }

    [Fact]
    public async Task WhoLeavesTheLoopEndsTheWork()
    {
        using var client = Create();
        var options = new ChatOptions { MaxOutputTokens = 20_000, Temperature = 1, Seed = 1 };
        await foreach (var _ in client.GetStreamingResponseAsync("Who?", options)) break;
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetResponseAsync("Who?", options, cancelled.Token));
        Assert.NotEmpty((await client.GetResponseAsync($"{Notes}\n\nWho is the keeper?", Greedy)).Text);
    }

    [Fact]
    public void WhatIsNotFollowedIsRefused()
    {
        using var client = Create();
        void Refused(string part, ChatOptions? options, params ChatMessage[] messages) => Refusals.Says(
            () => client.GetResponseAsync(messages.Length > 0 ? messages : [new(ChatRole.User, "Who?")], options).GetAwaiter().GetResult(), part);
        Refused("FrequencyPenalty", new ChatOptions { FrequencyPenalty = 1 });
        Refused("ModelId", new ChatOptions { ModelId = "other" });
        Refused("Tools", new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "one")] });
        Refused("ResponseFormat", new ChatOptions { ResponseFormat = ChatResponseFormat.Json });
        Refused("top-p", new ChatOptions { TopP = 0 });
        Refused("no question", null, new ChatMessage(ChatRole.System, Notes));
        Refused("more than text", null, new ChatMessage(ChatRole.User, [new UriContent("http://localhost/a.png", "image/png")]));
    }

    [Fact]
    public async Task AnApplicationAddsIt()
    {
        await using var services = new ServiceCollection().AddLandmark(Path.Combine(AppContext.BaseDirectory, "models", ServedModel.Name)).BuildServiceProvider();
        var answer = await services.GetRequiredService<IChatClient>().GetResponseAsync($"{Notes}\n\nWhat is the code of the archive?", Greedy);
        Assert.Equal("4711.", answer.Text);
    }

    private LandmarkChatClient Create() => new(model.Engine, ServedModel.Name, new QuestionTemplate());
}
