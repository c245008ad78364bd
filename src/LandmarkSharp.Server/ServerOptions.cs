using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace LandmarkSharp.Server;

/// <summary>Where a server listens, and how much it takes on.</summary>
public sealed class ServerOptions
{
    /// <summary>The address it listens on.</summary>
    [Loopback]
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>The port; 0 for any that is free.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8080;

    /// <summary>Requests that are computed at once, each a little in turn; the others wait.</summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 4;

    /// <summary>Requests that may wait; one more is told to come again.</summary>
    [Range(0, 10_000)]
    public int QueueLength { get; set; } = 32;

    /// <summary>Tokens that a prompt may have.</summary>
    [Range(1, int.MaxValue)]
    public int MaxPromptTokens { get; set; } = 1_000_000;

    /// <summary>Tokens that an answer may have, and has at most when a chat's request does not say.</summary>
    [Range(1, int.MaxValue)]
    public int MaxAnswerTokens { get; set; } = 4096;

    /// <summary>Bytes that a request's body may have.</summary>
    [Range(1024, 1L << 40)]
    public long MaxBodyBytes { get; set; } = 16 << 20;

    /// <summary>Bytes of keys and values that are kept of texts whose requests have ended; 0 keeps none.</summary>
    [Range(0, 1L << 49)]
    public long CacheBytes { get; set; } = 1L << 30;

    /// <summary>The folder in which callers have memories; null for none.</summary>
    public string? Memories { get; set; }

    /// <summary>Bytes that a document of a memory may have.</summary>
    [Range(1, 1L << 49)]
    public long MaxUploadBytes { get; set; } = 256 << 20;

    /// <summary>Bytes of all of a caller's memories and uploads on disk; null for any.</summary>
    [Range(0, 1L << 60)]
    public long? MemoryDiskBytes { get; set; }

    /// <summary>Bytes of blocks that all of a caller's open memories keep in RAM; null for as many as the system likes.</summary>
    [Range(0, 1L << 60)]
    public long? MemoryHotBytes { get; set; }

    /// <summary>Seconds that answers have to end in when the server is asked to stop.</summary>
    [Range(0, 600)]
    public int GraceSeconds { get; set; } = 10;

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">One does not; the message says which.</exception>
    public ServerOptions Checked()
    {
        if (new ServerOptionsValidator().Validate(null, this) is not { Failed: true } wrong) return this;
        // What the framework says names the class, and not what to do.
        var sentence = wrong.Failures!.First().Split(": ", 2)[^1].TrimEnd('.')
            .Replace($"The field {nameof(ServerOptions)}.", "The server's option ", StringComparison.Ordinal);
        throw new LandmarkException(sentence.Contains(';', StringComparison.Ordinal) ? $"{sentence}." : $"{sentence}; choose another number.");
    }
}

/// <summary>Checks what stands at the options.</summary>
[OptionsValidator]
internal sealed partial class ServerOptionsValidator : IValidateOptions<ServerOptions>;
