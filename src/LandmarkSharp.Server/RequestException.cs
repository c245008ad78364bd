namespace LandmarkSharp.Server;

/// <summary>A request that is not answered: what its client is told.</summary>
/// <param name="status">HTTP's status.</param>
/// <param name="message">One sentence: what is wrong, and what to do.</param>
/// <param name="param">The field that is wrong, if one is.</param>
/// <param name="code">What programs tell errors by.</param>
internal sealed class RequestException(int status, string message, string? param = null, string? code = null) : Exception(message)
{
    /// <summary>HTTP's status.</summary>
    public int Status => status;

    /// <summary>The field that is wrong, if one is.</summary>
    public string? Param => param;

    /// <summary>What programs tell errors by.</summary>
    public string? Code => code;

    /// <summary>After how long it may be asked again, where another time is all that it takes.</summary>
    public TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>OpenAI's name for the sort of error.</summary>
    public string Kind => status switch
    {
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    /// <summary>A field that cannot be followed.</summary>
    public static RequestException Field(string param, string message, string? code = null) =>
        new(StatusCodes.Status400BadRequest, message, param, code);

    /// <summary>The server is about to end.</summary>
    public static RequestException Stopping() =>
        new(StatusCodes.Status503ServiceUnavailable, "The server is stopping; ask again when it is back.", code: "stopping");
}
