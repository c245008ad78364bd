using System.ClientModel;
using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.InProcess;
using LandmarkSharp.Tests.Memory.Files;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
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
    public async Task PenaltiesAreTheSessions()
    {
        using var client = Create();
        const string asked = "One and two and three and";
        string Own(GenerationOptions options)
        {
            using var session = model.Engine.NewSession();
            session.Append($"Question: {asked}\nAnswer:");
            return string.Concat(session.Generate(options with { MaxTokens = 20, Stop = ["\n"] }).Select(t => t.Text)).TrimStart();
        }
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 20 };
        string[] own = [Own(new() { FrequencyPenalty = 2 }), Own(new() { PresencePenalty = -2 }), Own(new())];
        options.FrequencyPenalty = 2;
        Assert.Equal(own[0], (await client.GetResponseAsync(asked, options)).Text);
        (options.FrequencyPenalty, options.PresencePenalty) = (null, -2);
        Assert.Equal(own[1], (await client.GetResponseAsync(asked, options)).Text);
        Assert.Equal(3, own.Distinct().Count());
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
        Refused("frequency penalty", new ChatOptions { FrequencyPenalty = float.NaN });
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
        await using var services = new ServiceCollection().AddLandmark(Shipped).BuildServiceProvider();
        var answer = await services.GetRequiredService<IChatClient>().GetResponseAsync($"{Notes}\n\nWhat is the code of the archive?", Greedy);
        Assert.Equal("4711.", answer.Text);
    }

    [Fact]
    public async Task AHostRefusesToStartWithWhatCannotBeLoaded()
    {
        async Task Refused(string folder, EngineOptions? options, string part)
        {
            var builder = Host.CreateEmptyApplicationBuilder(null);
            builder.Services.AddLandmark(folder, options);
            using var host = builder.Build();
            var e = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
            Assert.Contains(part, e.Message, StringComparison.Ordinal);
        }
        await Refused("nowhere", null, "There is no model folder 'nowhere'; check the path.");
        await Refused(Shipped, new EngineOptions { Retrieval = model.Engine.Retrieval! with { TopK = 0 } }, "0");
        await Refused(Shipped, new EngineOptions { Retrieval = model.Engine.Retrieval! with { MissCutoff = 0.5 } }, "without a context-miss token");
    }

    /// <summary>What the ecosystem has for chat clients works around it: here its account of calls for OpenTelemetry.</summary>
    [Fact]
    public async Task OpenTelemetryIsToldOfCalls()
    {
        const string source = "landmark tests";
        List<Activity> calls = [];
        using var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = calls.Add,
        };
        ActivitySource.AddActivityListener(listener);
        using var client = Create().AsBuilder().UseOpenTelemetry(sourceName: source).Build();
        var answer = await client.GetResponseAsync($"{Notes}\n\nWhat is the code of the archive?", Greedy);
        Assert.Equal("4711.", answer.Text);
        var call = Assert.Single(calls);
        Assert.Equal(($"chat {ServedModel.Name}", "landmarksharp"), (call.DisplayName, call.GetTagItem("gen_ai.provider.name")));
        Assert.Equal((int)answer.Usage!.OutputTokenCount!, call.GetTagItem("gen_ai.usage.output_tokens"));
    }

    /// <summary>The same over HTTP, by the adapter that there is for OpenAI's client.</summary>
    [Fact]
    public async Task AServerIsAChatClientToo()
    {
        await using var server = await model.Start();
        using var client = server.Chat.AsIChatClient();
        ChatMessage[] asked = [new(ChatRole.System, Notes), new(ChatRole.User, "What is the code of the archive?")];
        var answer = await client.GetResponseAsync(asked, Greedy);
        Assert.Equal(("4711.", ChatFinishReason.Stop, ServedModel.Name), (answer.Text, answer.FinishReason!.Value, answer.ModelId));
        Assert.Equal("4711.", string.Concat(await client.GetStreamingResponseAsync(asked, Greedy).Select(u => u.Text).ToArrayAsync()));
        var all = new ChatOptions
        {
            Temperature = 0,
            TopP = 0.5f,
            MaxOutputTokens = 2,
            Seed = 3,
            FrequencyPenalty = 0.5f,
            PresencePenalty = 0.5f,
            StopSequences = ["x"],
            ResponseFormat = ChatResponseFormat.Text,
            Instructions = Notes,
        };
        Assert.Equal(ChatFinishReason.Length, (await client.GetResponseAsync(asked, all)).FinishReason);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => client.GetResponseAsync(asked, new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        Assert.Contains("response_format", refused.Message, StringComparison.Ordinal);
    }

    private static string Shipped => Path.Combine(AppContext.BaseDirectory, "models", ServedModel.Name);

    private LandmarkChatClient Create() => new(model.Engine, ServedModel.Name, new QuestionTemplate());
}
