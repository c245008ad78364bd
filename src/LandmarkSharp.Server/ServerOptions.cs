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
    [Range(0, 65535, ErrorMessage = "The port must lie between 0, which takes any that is free, and 65535; choose another.")]
    public int Port { get; set; } = 8080;

    /// <summary>Requests that are computed at once, each a little in turn; the others wait.</summary>
    [Range(1, 256, ErrorMessage = "The number of requests at once must lie between 1 and 256; choose another.")]
    public int Concurrency { get; set; } = 4;

    /// <summary>Requests that may wait; one more is told to come again.</summary>
    [Range(0, 10_000, ErrorMessage = "The number of requests that wait must lie between 0 and 10000; choose another.")]
    public int QueueLength { get; set; } = 32;

    /// <summary>Tokens that a prompt may have.</summary>
    [Range(1, int.MaxValue, ErrorMessage = "The most tokens of a prompt must be 1 or more; choose another number.")]
    public int MaxPromptTokens { get; set; } = 1_000_000;

    /// <summary>Tokens that an answer may have, and has at most when a chat's request does not say.</summary>
    [Range(1, int.MaxValue, ErrorMessage = "The most tokens of an answer must be 1 or more; choose another number.")]
    public int MaxAnswerTokens { get; set; } = 4096;

    /// <summary>Bytes that a request's body may have.</summary>
    [Range(1024, 1L << 40, ErrorMessage = "The most bytes of a request must lie between 1024 and a terabyte; choose another number.")]
    public long MaxBodyBytes { get; set; } = 16 << 20;

    /// <summary>Bytes of keys and values that are kept of texts whose requests have ended; 0 keeps none.</summary>
    [Range(0, long.MaxValue, ErrorMessage = "The bytes that are kept of earlier texts must be 0 or more; choose another number.")]
    public long CacheBytes { get; set; } = 1L << 30;

    /// <summary>Seconds that answers have to end in when the server is asked to stop.</summary>
    [Range(0, 600, ErrorMessage = "The seconds in which answers end must lie between 0 and 600; choose another number.")]
    public int GraceSeconds { get; set; } = 10;

    /// <summary>These options, when they make sense.</summary>
    /// <exception cref="LandmarkException">One does not; the message says which.</exception>
    public ServerOptions Checked() => new ServerOptionsValidator().Validate(null, this) is { Failed: true } wrong
        ? throw new LandmarkException(wrong.Failures!.First().Split(": ", 2)[^1])
        : this;
}

/// <summary>Checks what stands at the options.</summary>
[OptionsValidator]
internal sealed partial class ServerOptionsValidator : IValidateOptions<ServerOptions>;
