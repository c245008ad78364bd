namespace LandmarkSharp.Server.Access;

/// <summary>Who sends a request, which memories and limits go by.</summary>
/// <param name="Name">The name of its key.</param>
internal sealed record Caller(string Name)
{
    /// <summary>Everyone on this machine, while there are no keys.</summary>
    public static readonly Caller Local = new("local");

    /// <summary>What this caller may use at most; what is not given is limited by the server's options alone.</summary>
    public CallerLimits Limits { get; init; } = new();

    /// <summary>Who sent a request.</summary>
    public static Caller Of(HttpContext http) => http.Features.Get<Caller>() ?? Local;
}

/// <summary>What one caller may use at most.</summary>
internal sealed record CallerLimits
{
    /// <summary>Requests at once.</summary>
    public int? Concurrency { get; init; }

    /// <summary>Requests that may wait.</summary>
    public int? QueueLength { get; init; }

    /// <summary>Tokens read and generated in a day.</summary>
    public long? TokensADay { get; init; }

    /// <summary>Bytes of one uploaded document.</summary>
    public long? UploadBytes { get; init; }

    /// <summary>Bytes of all its memories and uploads on disk.</summary>
    public long? DiskBytes { get; init; }

    /// <summary>Bytes of blocks that its open memories keep in RAM.</summary>
    public long? HotBytes { get; init; }
}
