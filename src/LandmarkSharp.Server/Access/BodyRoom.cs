namespace LandmarkSharp.Server.Access;

/// <summary>
/// Room in memory for bodies of requests that are read whole: for as many of the longest as are computed at once, and no more than half of it
/// for one key's, so that who sends many keeps no other out.
/// </summary>
internal sealed class BodyRoom(ServerOptions options)
{
    private readonly Dictionary<string, long> taken = [];                                   // by callers

    private long Bytes => options.MaxBodyBytes * Math.Max(2, options.Concurrency);

    /// <summary>Room for a request's body until the request has ended.</summary>
    public Place For(HttpContext http)
    {
        var place = new Place(this, Caller.Of(http));
        http.Response.RegisterForDispose(place);
        return place;
    }

    private void Take(Caller caller, long bytes)
    {
        lock (taken)
        {
            var own = taken.GetValueOrDefault(caller.Name);
            if (taken.Values.Sum() + bytes > Bytes || (caller != Caller.Local && own + bytes > Bytes / 2))
                throw new RequestException(
                    StatusCodes.Status429TooManyRequests, "Too many long requests are at work here; ask again in a second.", code: "rate_limit_exceeded");
            taken[caller.Name] = own + bytes;
        }
    }

    private void GiveBack(Caller caller, long bytes)
    {
        lock (taken)
            if ((taken[caller.Name] -= bytes) == 0) taken.Remove(caller.Name);
    }

    /// <summary>A request's part of the room.</summary>
    public sealed class Place(BodyRoom room, Caller caller) : IDisposable
    {
        private long bytes;

        /// <summary>Takes room for bytes that have come.</summary>
        /// <exception cref="RequestException">There is none now.</exception>
        public void Add(int more)
        {
            room.Take(caller, more);
            bytes += more;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            if (bytes > 0) room.GiveBack(caller, bytes);
            bytes = 0;
        }
    }
}
