using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Server.Api;

/// <summary>What the server answers to.</summary>
/// <param name="engine">The model.</param>
/// <param name="model">Its name.</param>
/// <param name="template">How it is told a conversation.</param>
/// <param name="scheduler">Computes.</param>
/// <param name="options">How much is taken on.</param>
/// <param name="answering">Answers.</param>
/// <param name="library">The memories; null where there are none.</param>
internal sealed class Endpoints(
    LandmarkEngine engine, string model, IChatTemplate template, Scheduler scheduler, ServerOptions options, Answering answering,
    MemoryLibrary? library)
{
    private readonly ModelInfo info = new(model, "model", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), "landmarksharp");

    /// <summary>Puts them in place.</summary>
    public void Map(IEndpointRouteBuilder app)
    {
        var api = app.MapGroup("/v1").WithTags("OpenAI's protocol");
        api.MapPost("/completions", Complete).Accepts<CompletionRequest>("application/json")
            .Produces<CompletionResponse>(StatusCodes.Status200OK, "application/json", "text/event-stream").WithSummary("Goes on with texts.");
        api.MapPost("/chat/completions", Chat).Accepts<ChatRequest>("application/json")
            .Produces<ChatResponse>(StatusCodes.Status200OK, "application/json", "text/event-stream").WithSummary("Answers in a conversation.");
        api.MapGet("/models", () => TypedResults.Json(new ModelList("list", [info]), Protocol.Json.ModelList)).Produces<ModelList>()
            .WithSummary("Lists the model that is served.");
        api.MapGet("/models/{id}", (string id) => TypedResults.Json(Served(id), Protocol.Json.ModelInfo)).Produces<ModelInfo>().WithSummary("Tells of it.");
        app.MapGet("/healthz", Healthy).Produces<Health>().WithTags("Server").WithSummary("Whether requests are taken, and how many there are.");
        if (library is not null) new MemoryEndpoints(library).Map(app);
        ApiDocument.Map(app);
    }

    private async Task<IResult> Complete(HttpContext http, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.CompletionRequest, cancel);
        Served(request.Model);
        var sampling = request.Sampling(options);
        var prompts = request.Prompts(engine);
        string[] texts = [.. prompts.Select(p => PromptTokens.Text(engine, p))];
        var plan = Plan(request, prompts, sampling, new CompletionFormat(engine.Tokenizer, model), Basis(http, request, texts, [.. texts.Select(ChatTemplates.LastParagraph)]));
        return await answering.Answer(http, plan, "prompt", cancel);
    }

    private async Task<IResult> Chat(HttpContext http, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.ChatRequest, cancel);
        Served(request.Model);
        var sampling = request.Sampling(options);
        var turns = request.Turns();
        var prompt = Rendered(template, turns);
        var format = new ChatFormat(engine.Tokenizer, model, trimsStart: prompt.EndsInWord());
        var tokens = request.Memories is null ? template.Encode(prompt, engine.Tokenizer) : template.EncodeAfterTexts(prompt, engine.Tokenizer);
        int[][] prompts = [PromptTokens.Checked(engine, tokens, "messages")];
        if (request.Landmark?.Session is not null && template.WritesMarks)
            throw RequestException.Field(
                "landmark.session", "This model's chats begin anew with their template, so they are no sessions to go on with; send all messages, or use completions.");
        var plan = Plan(
            request, prompts, sampling with { Stop = [.. sampling.Stop, .. template.Stop] }, format,
            Basis(http, request, [prompt.Text], [turns[^1] is { Role: ChatRole.User, Text: var said } ? template.Question(said) : prompt.Text]));
        return await answering.Answer(http, plan, "messages", cancel);
    }

    private IResult Healthy()
    {
        var state = scheduler.State;
        return TypedResults.Json(
            new Health(state.IsClosed ? "stopping" : "ok", state.Active, state.Waiting, state.CachedBytes), Protocol.Json.Health,
            statusCode: state.IsClosed ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    private static AnswerPlan Plan(SamplingRequest request, int[][] prompts, GenerationOptions sampling, AnswerFormat format, AnswerBasis basis) =>
        new(prompts, request.N ?? 1, sampling, request.Stream is true, request.StreamOptions?.IncludeUsage is true, format, basis);

    /// <summary>What answers are read from besides the prompts.</summary>
    private AnswerBasis Basis(HttpContext http, SamplingRequest request, string[] prompts, string[] questions)
    {
        request.Landmark?.Check(engine, request.Memories?.Count ?? 0);
        if (request.Memories is { Count: 0 }) throw RequestException.Field("memories", "The field 'memories' names none; name some, or leave it out.");
        if (request.Memories is not null && library is null)
            throw RequestException.Field("memories", "This server has no memories; start it with --memories, or leave the field out.", "unsupported_field");
        var retrieval = LandmarkFields.RetrievalOf(request.Landmark, engine, ofMemories: request.Memories is not null);
        var shelf = request.Memories is null ? null : library!.Of(Caller.Of(http));
        var lease = shelf?.Lease(request.Memories!);
        try
        {
            var focus = lease is null ? default : LandmarkFields.FocusOf(request.Landmark, !questions.Any(string.IsNullOrWhiteSpace));
            return new AnswerBasis
            {
                Model = model,
                Memory = lease,
                Retrieval = retrieval,
                Focus = focus.Blocks,
                FindsUnasked = focus.Unasked,
                Kept = request.Landmark?.Session is { } session ? shelf!.Sessions.Begin(lease!.Names, session, request.Landmark.Fork) : null,
                Prompts = prompts,
                Questions = questions,
                Passages = lease is null ? 0 : LandmarkFields.PassagesOf(request.Landmark),
                TracedBlocks = request.Landmark?.Trace is true ? engine.Config.Layers * engine.Config.Heads * (retrieval ?? engine.Retrieval!).TopK : 0,
            };
        }
        catch
        {
            lease?.Dispose();
            throw;
        }
    }

    private static ChatPrompt Rendered(IChatTemplate template, ChatTurn[] turns)
    {
        try
        {
            return template.Render(turns, addGenerationPrompt: true);
        }
        catch (LandmarkException e)
        {
            throw RequestException.Field("messages", e.Message);
        }
    }

    private ModelInfo Served(string? name) => name == model ? info : throw new RequestException(
        name is null ? StatusCodes.Status400BadRequest : StatusCodes.Status404NotFound,
        name is null ? $"The field 'model' is missing; this server has '{model}'." : $"There is no model '{name}' here; ask for '{model}'.",
        "model", name is null ? null : "model_not_found");
}
