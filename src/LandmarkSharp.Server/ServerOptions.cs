using System.ComponentModel.DataAnnotations;
using System.Net;
using LandmarkSharp.Server.Access;
using Microsoft.Extensions.Options;

namespace LandmarkSharp.Server;

/// <summary>Where a server listens, and how much it takes on.</summary>
public sealed class ServerOptions
{
    /// <summary>The address it listens on.</summary>
    [Address]
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>The port; 0 for any that is free.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8080;

    /// <summary>The key file that says who may ask; needed where other machines reach the address. None lets every program of this machine.</summary>
    public string? Keys { get; set; }

    /// <summary>Names by which the server is asked, besides localhost and addresses.</summary>
    [HostNames]
    public string[] Hosts { get; set; } = [];

    /// <summary>A certificate to serve by HTTPS with: PKCS#12 (.pfx, .p12), or PEM with those that vouch for it.</summary>
    public string? Certificate { get; set; }

    /// <summary>Its key in PEM, where that is a file of its own.</summary>
    public string? CertificateKey { get; set; }

    /// <summary>What the file with its key is encrypted by.</summary>
    public string? CertificatePassword { get; set; }

    /// <summary>Tokens that all keys together may have read and generated in a day; any number when not given.</summary>
    [Range(1, 1L << 53)]
    public long? TokensADay { get; set; }

    /// <summary>Requests that are computed at once, each a little in turn; the others wait.</summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 4;

    /// <summary>Requests that may wait; one more is told to come again.</summary>
    [Range(0, 10_000)]
    public int QueueLength { get; set; } = 32;

    /// <summary>Seconds that a request may wait; then it is told to come again.</summary>
    [Range(1, 86_400)]
    public int QueueSeconds { get; set; } = 300;

    /// <summary>Tokens that a prompt may have.</summary>
    [Range(1, int.MaxValue)]
    public int MaxPromptTokens { get; set; } = 1_000_000;

    /// <summary>Tokens that an answer may have, and has at most when a chat's request does not say.</summary>
    [Range(1, int.MaxValue)]
    public int MaxAnswerTokens { get; set; } = 4096;

    /// <summary>Log-probabilities that all answers of a request may come with: those of their tokens, and of the likeliest beside each.</summary>
    [Range(0, int.MaxValue)]
    public int MaxLogprobs { get; set; } = 1 << 18;

    /// <summary>Reads that all answers of a request may come with an account of: for each token k blocks in each layer and query head.</summary>
    [Range(0, int.MaxValue)]
    public int MaxTraceReads { get; set; } = 1 << 21;

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

    /// <summary>Bytes of landmark keys, and of indexes over them, of all memories that are open at once; null for half of the RAM.</summary>
    [Range(0, 1L << 60)]
    public long? MemoryOpenBytes { get; set; }

    /// <summary>Bytes of blocks that all open memories together keep in RAM; null for as many as the system likes.</summary>
    [Range(0, 1L << 60)]
    public long? MemoryHotBytes { get; set; }

    /// <summary>Seconds that answers have to end in when the server is asked to stop.</summary>
    [Range(0, 600)]
    public int GraceSeconds { get; set; } = 10;

    /// <summary>Where it listens.</summary>
    internal IPAddress ListenAddress() => AddressAttribute.Address(Address)!;

    /// <summary>Whether it listens to this machine alone.</summary>
    internal bool IsLocal => IPAddress.IsLoopback(ListenAddress());

    /// <summary>These options, when they make sense and the files that they name can be used.</summary>
    /// <exception cref="LandmarkException">One does not or cannot; the message says which.</exception>
    public ServerOptions Checked()
    {
        if (new ServerOptionsValidator().Validate(null, this) is { Failed: true } wrong)
        {
            // What the framework says names the class, and not what to do.
            var sentence = wrong.Failures!.First().Split(": ", 2)[^1].TrimEnd('.')
                .Replace($"The field {nameof(ServerOptions)}.", "The server's option ", StringComparison.Ordinal);
            throw new LandmarkException(sentence.Contains(';', StringComparison.Ordinal) ? $"{sentence}." : $"{sentence}; choose another number.");
        }
        if (Keys is null && !IsLocal)
            throw new LandmarkException(
                $"Other machines reach the address {Address}, and there are no keys to tell who may ask; make one by 'landmark keys create NAME', "
                + "or listen on 127.0.0.1.");
        if (Keys is null && TokensADay is not null)
            throw new LandmarkException("A day's tokens are counted by keys, and there are none; make one by 'landmark keys create NAME'.");
        if (Certificate is null && (CertificateKey ?? CertificatePassword) is not null)
            throw new LandmarkException("There is a certificate's key or password but no certificate; give one by --certificate.");
        if (Keys is not null) new KeyFile(Keys).RequireKey();
        if (Certificate is not null) ServerCertificate.Load(this);
        return this;
    }
}

/// <summary>Checks what stands at the options.</summary>
[OptionsValidator]
internal sealed partial class ServerOptionsValidator : IValidateOptions<ServerOptions>;
