using System.Runtime.CompilerServices;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Scheduling;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace LandmarkSharp.Server.InProcess;

/// <summary>
/// A model in this process as a chat client of Microsoft.Extensions.AI: scheduled as the server does it, with earlier turns of
/// conversations kept. Safe to use from several threads.
/// </summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load("models/landmark-10m");
/// using var client = new LandmarkChatClient(engine, "landmark-10m", new QuestionTemplate());
/// Console.WriteLine(await client.GetResponseAsync($"{notes}\n\nWho owns the lighthouse?"));
/// </code>
/// </example>
public sealed class LandmarkChatClient : IChatClient
{
    private readonly LandmarkEngine engine;
    private readonly IChatTemplate template;
    private readonly ChatClientMetadata metadata;
    private readonly ServerOptions limits = new() { QueueLength = 10_000, QueueSeconds = int.MaxValue };    // its callers wait; none is sent away
    private readonly Scheduler scheduler;

    /// <summary>Makes a client, and starts the thread that computes.</summary>
    /// <param name="engine">The model, which must not be disposed before the client.</param>
    /// <param name="model">Its name.</param>
    /// <param name="template">How it is told a conversation.</param>
    /// <param name="logging">Told of failures.</param>
    public LandmarkChatClient(LandmarkEngine engine, string model, IChatTemplate template, ILoggerFactory? logging = null)
    {
        (this.engine, this.template, metadata) = (engine, template, new ChatClientMetadata("landmarksharp", null, model));
        scheduler = new Scheduler(engine, limits, new ServerLog((logging ?? NullLoggerFactory.Instance).CreateLogger<ServerLog>()));
        scheduler.Start();
    }

    /// <inheritdoc/>
    /// <exception cref="LandmarkException">An option or a message cannot be followed, or the model failed; the message says which.</exception>
    public Task<Microsoft.Extensions.AI.ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="LandmarkException">An option or a message cannot be followed, or the model failed; the message says which.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var prompt = template.Render(ChatOptionsReader.Turns(messages, options), addGenerationPrompt: true);
        var sampling = ChatOptionsReader.Sampling(options, metadata.DefaultModelId, limits.MaxAnswerTokens);
        var tokens = template.Encode(prompt, engine.Tokenizer);
        // Whoever stops listening, by a token or by leaving the loop, ends the work.
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var job = new AnswerJob("", [tokens], 1, sampling with { Stop = [.. sampling.Stop, .. template.Stop] }, left.Token);
        try
        {
            Told(() => scheduler.Submit(job));
            var (id, begun, generated) = (Guid.NewGuid().ToString("N"), !prompt.EndsInWord(), 0);
            while (await More(job, cancellationToken))
            {
                while (job.Tokens.TryRead(out var next))
                {
                    var token = next.Token;
                    var text = begun ? token.Text : token.Text.TrimStart();
                    begun |= text.Length > 0;
                    generated += token.Finish == FinishReason.EndOfText ? 0 : 1;
                    if (text.Length == 0 && token.Finish is null) continue;
                    yield return new ChatResponseUpdate(ChatRole.Assistant, text)
                    {
                        ResponseId = id,
                        MessageId = id,
                        ModelId = metadata.DefaultModelId,
                        FinishReason = token.Finish switch
                        {
                            null => null,
                            FinishReason.Length => ChatFinishReason.Length,
                            _ => ChatFinishReason.Stop,
                        },
                    };
                }
            }
            cancellationToken.ThrowIfCancellationRequested();
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(new UsageDetails
            {
                InputTokenCount = job.PromptTokens,
                CachedInputTokenCount = job.Reused,
                OutputTokenCount = generated,
                TotalTokenCount = job.PromptTokens + generated,
            })])
            {
                ResponseId = id,
                MessageId = id,
                ModelId = metadata.DefaultModelId,
            };
        }
        finally
        {
            await left.CancelAsync();
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? metadata
        : serviceType == typeof(LandmarkEngine) ? engine
        : serviceType.IsInstanceOfType(this) ? this : null;

    /// <inheritdoc/>
    public void Dispose() => scheduler.Dispose();

    private static void Told(Action act)
    {
        try
        {
            act();
        }
        catch (RequestException e)
        {
            throw new LandmarkException(e.Message, e);
        }
    }

    private static async Task<bool> More(AnswerJob job, CancellationToken cancel)
    {
        try
        {
            return await job.Tokens.WaitToReadAsync(cancel);
        }
        catch (RequestException e)
        {
            throw new LandmarkException(e.Message, e);
        }
    }
}
