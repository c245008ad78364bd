using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Server.Api;

/// <summary>A request's body, and what is wrong with it by the field's name.</summary>
internal static class RequestBody
{
    private const int Piece = 16 << 10;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

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
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw new RequestException(e.StatusCode, "The body is longer than this server reads; send a shorter text.", code: "too_large");
        }
        catch (IOException e)
        {
            // Kestrel has a status for most of what is no HTTP, but not for a chunk of more bytes than it counts.
            var status = (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest;
            throw new RequestException(status, "The body did not come as it was announced; send it again.");
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
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        try
        {
            while (true)
            {
                // Kestrel asks for an average rate, which who sent much at once keeps for long without another byte.
                late.CancelAfter(Patience);
                if (await http.Request.Body.ReadAsync(piece, late.Token) is not (> 0 and var bytes)) break;
                place.Add(bytes);
                body.Write(piece, 0, bytes);
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new RequestException(
                StatusCodes.Status408RequestTimeout, $"Nothing of the body came for {Patience.TotalSeconds:F0} seconds; send it again.");
        }
        body.Position = 0;
        return body;
    }

    private static string Sentence(JsonException e) => Param(e) is { } field && e.InnerException is not JsonException
        ? $"The field '{field}' is given twice or is not of the type that it should be; see the documentation of this server."
        : $"The body is no JSON that can be read{(e.LineNumber is { } line ? $", in line {line + 1}" : "")}; send an object in UTF-8.";

    private static string? Param(JsonException e) => e.Path is ['$', '.', .. var path] ? path : null;
}
