namespace LandmarkSharp.Server.Access;

/// <summary>Who sends a request, which memories and limits go by.</summary>
/// <param name="Name">The name of its key.</param>
internal sealed record Caller(string Name)
{
    /// <summary>Everyone on this machine, while there are no keys.</summary>
    public static readonly Caller Local = new("local");

    /// <summary>What this caller may use at most; what is not given is limited by the server's options alone.</summary>
    public CallerLimits Limits { get; init; } = new();

    /// <summary>
    /// Takes tokens that are read or generated from the day's; 0 asks whether any are left, and what was taken too much goes back by a number
    /// below 0. Fails with a <see cref="RequestException"/> where there are not as many.
    /// </summary>
    public Action<int> Spend { get; init; } = _ => { };

    /// <summary>Its shares of turns and places; null where there are no keys, and so none.</summary>
    public CallerLimits? Shares => this == Local ? null : Limits;

    /// <summary>Whose turns its request takes: where there are no keys a connection is a client.</summary>
    public string Client(HttpContext http) => this == Local ? http.Connection.Id : Name;

    /// <summary>Who sent a request.</summary>
    public static Caller Of(HttpContext http) => http.Features.Get<Caller>() ?? Local;
}

/// <summary>What one caller may use at most.</summary>
public sealed record CallerLimits
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

    /// <summary>Bytes of landmark keys, and of indexes over them, of its memories that are open at once.</summary>
    public long? OpenBytes { get; init; }

    /// <summary>Bytes of blocks that its open memories together keep in RAM.</summary>
    public long? HotBytes { get; init; }

    /// <summary>These limits, when they make sense.</summary>
    /// <exception cref="LandmarkException">One does not; the message says which.</exception>
    internal CallerLimits Checked()
    {
        if (Concurrency < 1) throw Below(nameof(Concurrency), 1);
        if (QueueLength < 0) throw Below(nameof(QueueLength), 0);
        if (TokensADay < 1) throw Below(nameof(TokensADay), 1);
        if (UploadBytes < 0) throw Below(nameof(UploadBytes), 0);
        if (DiskBytes < 0) throw Below(nameof(DiskBytes), 0);
        if (OpenBytes < 0) throw Below(nameof(OpenBytes), 0);
        if (HotBytes < 0) throw Below(nameof(HotBytes), 0);
        return this;

        static LandmarkException Below(string name, int least) => new($"A key's limit {name} must be at least {least}; choose another number.");
    }
}
