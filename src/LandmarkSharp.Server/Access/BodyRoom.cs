namespace LandmarkSharp.Server.Access;

/// <summary>
/// Room in memory for bodies of requests that are read whole: as many of the longest as are computed at once, and no more than half of it for
/// one key's, so that who sends long ones slowly does not keep all others out.
/// </summary>
internal sealed class BodyRoom(ServerOptions options)
{
    private readonly Dictionary<string, long> taken = [];

    private long Room => options.MaxBodyBytes * Math.Max(2, options.Concurrency);

    /// <summary>Takes room for a request's body until the request has ended.</summary>
    /// <exception cref="RequestException">There is none now.</exception>
    public void Take(HttpContext http)
    {
        // What does not say how long it is may be as long as any.
        var (bytes, caller) = (Math.Min(http.Request.ContentLength ?? options.MaxBodyBytes, options.MaxBodyBytes), Caller.Of(http));
        lock (taken)
        {
            var own = taken.GetValueOrDefault(caller.Name);
            if (taken.Values.Sum() + bytes > Room || (caller != Caller.Local && own + bytes > Room / 2))
                throw new RequestException(
                    StatusCodes.Status429TooManyRequests, "Too many long requests are at work here; ask again in a second.", code: "rate_limit_exceeded");
            taken[caller.Name] = own + bytes;
        }
        http.Response.RegisterForDispose(new Taken(() =>
        {
            lock (taken)
                if ((taken[caller.Name] -= bytes) == 0) taken.Remove(caller.Name);
        }));
    }

    private sealed class Taken(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
