using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
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
internal sealed class Endpoints(
    LandmarkEngine engine, string model, IChatTemplate template, Scheduler scheduler, ServerOptions options, Answering answering)
{
    private readonly ModelInfo info = new(model, "model", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), "landmarksharp");

    /// <summary>Puts them in place.</summary>
    public void Map(IEndpointRouteBuilder app)
    {
        var api = app.MapGroup("/v1").WithTags("OpenAI's protocol");
        api.MapPost("/completions", Complete).Accepts<CompletionRequest>("application/json")
            .Produces<CompletionResponse>().Produces<ErrorBody>(StatusCodes.Status400BadRequest).WithSummary("Goes on with texts.");
        api.MapPost("/chat/completions", Chat).Accepts<ChatRequest>("application/json")
            .Produces<ChatResponse>().Produces<ErrorBody>(StatusCodes.Status400BadRequest).WithSummary("Answers in a conversation.");
        api.MapGet("/models", () => TypedResults.Json(new ModelList("list", [info]), Protocol.Json.ModelList))
            .WithSummary("Lists the model that is served.");
        api.MapGet("/models/{id}", (string id) => TypedResults.Json(Served(id), Protocol.Json.ModelInfo)).WithSummary("Tells of it.");
        app.MapGet("/healthz", Healthy).WithTags("Server").WithSummary("Whether requests are taken, and how many there are.");
        app.MapOpenApi();
    }

    private async Task<IResult> Complete(HttpContext http, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.CompletionRequest, cancel);
        Served(request.Model);
        var sampling = request.Sampling(options);
        var plan = Plan(request, request.Prompts(engine), sampling, new CompletionFormat(engine.Tokenizer, model));
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
        int[][] prompts = [PromptTokens.Checked(engine, template.Encode(prompt, engine.Tokenizer), "messages")];
        return await answering.Answer(
            http, Plan(request, prompts, sampling with { Stop = [.. sampling.Stop, .. template.Stop] }, format), "messages", cancel);
    }

    private IResult Healthy()
    {
        var state = scheduler.State;
        return TypedResults.Json(
            new Health(state.IsClosed ? "stopping" : "ok", state.Active, state.Waiting, state.CachedBytes), Protocol.Json.Health,
            statusCode: state.IsClosed ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    private static AnswerPlan Plan(SamplingRequest request, int[][] prompts, GenerationOptions sampling, AnswerFormat format) =>
        new(prompts, request.N ?? 1, sampling, request.Stream is true, request.StreamOptions?.IncludeUsage is true, format);

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
