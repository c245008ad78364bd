using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Api;

/// <summary>An error as OpenAI's clients read it.</summary>
internal sealed record ErrorBody(ErrorDetail Error)
{
    /// <summary>What a client is told of a failure.</summary>
    public static ErrorBody Of(RequestException e) => new(new ErrorDetail(e.Message, e.Kind, e.Param, e.Code));

    /// <summary>What a client is told of any failure: of those that are no fault of the request, no more than what is meant for people.</summary>
    public static RequestException Failure(Exception e) => e switch
    {
        RequestException known => known,
        LandmarkException sentence => new RequestException(StatusCodes.Status500InternalServerError, sentence.Message, code: "model_failed"),
        _ => new RequestException(
            StatusCodes.Status500InternalServerError, "The server failed at this; its log says how, and others may be asked.", code: "failed"),
    };

    /// <summary>Writes it as the whole answer.</summary>
    public static async Task Write(HttpContext http, RequestException e)
    {
        http.Response.StatusCode = e.Status;
        if (e.Status == StatusCodes.Status429TooManyRequests)
            http.Response.Headers.RetryAfter = Math.Ceiling(e.RetryAfter.TotalSeconds).ToString("F0");
        if (e.Status == StatusCodes.Status401Unauthorized) http.Response.Headers.WWWAuthenticate = "Bearer";
        http.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(http.Response.Body, Of(e), Protocol.Json.ErrorBody, http.RequestAborted);
    }
}

/// <summary>The error itself.</summary>
internal sealed record ErrorDetail(
    string Message, string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);
