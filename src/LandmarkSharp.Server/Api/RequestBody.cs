using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Server.Api;

/// <summary>A request's body, and what is wrong with it by the field's name.</summary>
internal static class RequestBody
{
    private const int Piece = 16 << 10;

    /// <summary>Reads it.</summary>
    /// <exception cref="RequestException">It is no JSON, too large, there is no room for it now, or a field is of another type.</exception>
    public static async Task<T> Read<T>(HttpContext http, JsonTypeInfo<T> type, CancellationToken cancel)
    {
        // What a page of another site can send without asking first is not JSON.
        if (!http.Request.HasJsonContentType())
            throw new RequestException(
                StatusCodes.Status415UnsupportedMediaType, "The body is not said to be JSON; send it with 'Content-Type: application/json'.");
        try
        {
            using var body = await Whole(http, cancel);
            return JsonSerializer.Deserialize(body, type)
                ?? throw new RequestException(StatusCodes.Status400BadRequest, "The body is null; send an object.");
        }
        catch (JsonException e)
        {
            throw new RequestException(StatusCodes.Status400BadRequest, Sentence(e), Param(e), "invalid_json");
        }
        catch (BadHttpRequestException e)
        {
            throw new RequestException(e.StatusCode, "The body is longer than this server reads; send a shorter text.", code: "too_large");
        }
    }

    /// <summary>A string of JSON, which need be no text.</summary>
    public static string Text(JsonElement element, string param)
    {
        if (element.ValueKind != JsonValueKind.String)
            throw RequestException.Field(param, $"The field '{param}' must be a string; see the documentation of this server.");
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw RequestException.Field(param, $"The field '{param}' holds half a character; send whole ones.");
        }
    }

    private static async Task<MemoryStream> Whole(HttpContext http, CancellationToken cancel)
    {
        var (place, body, piece) = (http.RequestServices.GetRequiredService<BodyRoom>().For(http), new MemoryStream(), new byte[Piece]);
        while (await BodyPiece.Read(http.Request.Body, piece, cancel) is > 0 and var bytes)
        {
            place.Add(bytes);
            body.Write(piece, 0, bytes);
        }
        body.Position = 0;
        return body;
    }

    private static string Sentence(JsonException e) => Param(e) is { } field && e.InnerException is not JsonException
        ? $"The field '{field}' is given twice or is not of the type that it should be; see the documentation of this server."
        : $"The body is no JSON that can be read{(e.LineNumber is { } line ? $", in line {line + 1}" : "")}; send an object in UTF-8.";

    private static string? Param(JsonException e) => e.Path is ['$', '.', .. var path] ? path : null;
}
