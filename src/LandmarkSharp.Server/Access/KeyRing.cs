using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;

namespace LandmarkSharp.Server.Access;

/// <summary>Lets requests in by their keys.</summary>
/// <param name="file">The keys.</param>
/// <param name="budget">The day's tokens.</param>
/// <param name="log">Told where the file cannot be read.</param>
/// <param name="clock">Tells what has expired.</param>
internal sealed class KeyRing(KeyFile file, TokenBudget budget, ServerLog log, TimeProvider clock)
{
    /// <summary>Read again after this long, so that new keys and revoked ones count at once. No trace of a change is trusted.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(250);

    private readonly Lock reading = new();
    private (byte[] Hash, ApiKey Key)[] keys = [];
    private long? read;                                                                     // when, by the clock's ticks

    /// <summary>Lets a request on, as its caller's.</summary>
    /// <exception cref="RequestException">It has no key that holds.</exception>
    public Task Pass(HttpContext http, RequestDelegate next)
    {
        // Who looks after a server has no key; it learns how many requests there are, and not whose.
        if (http.Request.Path == "/healthz" || KeyCookie.IsFree(http.Request.Path)) return next(http);
        try
        {
            http.Features.Set(Authenticate(KeyCookie.Authorization(http.Request)));
        }
        catch (RequestException e) when (e.Status == StatusCodes.Status401Unauthorized && KeyCookie.IsPage(http.Request))
        {
            http.Features.Set(new KeyNeeded(e));                                             // the page asks for it
        }
        return next(http);
    }

    /// <summary>Who has a name, as its key is now.</summary>
    /// <exception cref="RequestException">It has none that holds.</exception>
    public Caller Find(string name) =>
        Holder(name) ?? throw Unknown("The key of this page does not hold any more; load the page again, and give another.");

    /// <summary>Who has a name, as its key is now; null where none holds.</summary>
    /// <exception cref="RequestException">The keys cannot be read.</exception>
    public Caller? Holder(string name) =>
        Keys().Select(k => k.Key).FirstOrDefault(k => k.Name == name && k.Holds(clock.GetUtcNow())) is { } key ? Caller(key) : null;

    /// <summary>Whose key a header has.</summary>
    /// <exception cref="RequestException">It has none that holds.</exception>
    public Caller Authenticate(StringValues authorization)
    {
        const string scheme = "Bearer ";
        if (authorization.Count == 0)
            throw Unknown("A key is needed here, and there is none; send one as 'Authorization: Bearer KEY'.");
        if (authorization.Count > 1 || authorization[0] is not { } header || !header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase))
            throw Unknown("The header 'Authorization' holds no key; send it once, as 'Authorization: Bearer KEY'.");
        var hash = KeyFile.Hash(header[scheme.Length..].Trim());
        // However far a hash agrees and wherever in the list it stands, the answer takes as long.
        ApiKey? found = null;
        foreach (var (known, key) in Keys())
            if (CryptographicOperations.FixedTimeEquals(hash, known)) found = key;
        if (found is null) throw Unknown("The key is not known here; check it, or ask who runs this server for another.");
        if (!found.Holds(clock.GetUtcNow())) throw Unknown($"The key of '{found.Name}' has expired; ask who runs this server for another.");
        return Caller(found);
    }

    private Caller Caller(ApiKey key)
    {
        var caller = new Caller(key.Name) { Limits = key.Limits };
        return caller with { Spend = tokens => budget.Spend(caller, tokens) };
    }

    private (byte[] Hash, ApiKey Key)[] Keys()
    {
        lock (reading)
        {
            if (read is { } at && clock.GetElapsedTime(at) < Fresh) return keys;
            try
            {
                keys = [.. file.Read().Select(k => (Convert.FromHexString(k.Hash), k))];
                read = clock.GetTimestamp();
                return keys;
            }
            catch (LandmarkException e)
            {
                // Keys of before would let in who was just put out.
                log.KeysUnreadable(e.Message);
                throw new RequestException(
                    StatusCodes.Status503ServiceUnavailable, "The keys of this server cannot be read now; ask who runs it.", code: "no_keys");
            }
        }
    }

    private static RequestException Unknown(string message) => new(StatusCodes.Status401Unauthorized, message, code: "invalid_api_key");
}
