using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Server.Access;

/// <summary>Tokens of a day by the names of keys.</summary>
/// <param name="Day">The day, by UTC.</param>
/// <param name="Tokens">Tokens read and generated.</param>
internal sealed record DayTokens(DateOnly Day, Dictionary<string, long> Tokens);

/// <summary>
/// What keys have used of their tokens today. It stands in a file beside the keys, so that neither a restart nor a second server with the same
/// keys begins the day again. Servers add to it once a second: one that is killed loses what it counted since.
/// </summary>
internal sealed class TokenBudget : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly string file;
    private readonly long? total;
    private readonly ServerLog log;
    private readonly TimeProvider clock;
    private readonly ITimer timer;
    private readonly Lock saving = new();

    // Guarded by the first of them.
    private readonly Dictionary<string, long> added = [];                                   // since the file was written
    private DayTokens filed;
    private bool failed;                                                                    // when it was to be written last

    /// <summary>Goes on with what was used today.</summary>
    /// <param name="keys">The key file.</param>
    /// <param name="total">Tokens a day of all keys together; null for any number.</param>
    /// <param name="log">Told where the file cannot be written.</param>
    /// <param name="clock">Tells the day.</param>
    /// <exception cref="LandmarkException">The file cannot be read.</exception>
    public TokenBudget(string keys, long? total, ServerLog log, TimeProvider clock)
    {
        (file, this.total, this.log, this.clock) = (FileOf(keys), total, log, clock);
        filed = Read(file, Today);
        timer = clock.CreateTimer(_ => Save(), null, Period, Period);
    }

    private DateOnly Today => DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);

    /// <summary>What each key has used today, as its servers last wrote it.</summary>
    /// <param name="keys">The key file.</param>
    /// <exception cref="LandmarkException">The file cannot be read.</exception>
    public static IReadOnlyDictionary<string, long> Used(string keys) =>
        Read(FileOf(keys), DateOnly.FromDateTime(DateTime.UtcNow)).Tokens;

    /// <summary>Takes tokens from the day's, as <see cref="Caller.Spend"/> says.</summary>
    /// <exception cref="RequestException">There are not as many.</exception>
    public void Spend(Caller caller, int tokens)
    {
        lock (added)
        {
            Turn();
            if (tokens >= 0)
            {
                Require(tokens, caller.Limits.TokensADay, Of(caller.Name), $"The key of '{caller.Name}' has");
                Require(tokens, total, filed.Tokens.Values.Sum() + added.Values.Sum(), "This server's keys have together");
            }
            // What goes back after midnight was taken from the day before.
            added[caller.Name] = Math.Max(added.GetValueOrDefault(caller.Name) + tokens, -filed.Tokens.GetValueOrDefault(caller.Name));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        timer.Dispose();
        Save();
    }

    private static string FileOf(string keys) => Path.ChangeExtension(keys, ".tokens.json");

    private static DayTokens Read(string file, DateOnly today) =>
        PrivateFile.Read(file, AccessJson.Default.DayTokens, "delete it, and the day's tokens are counted anew") is { } tokens && tokens.Day == today
            ? tokens : new DayTokens(today, []);

    private long Of(string name) => filed.Tokens.GetValueOrDefault(name) + added.GetValueOrDefault(name);

    private void Turn()
    {
        if (filed.Day == Today) return;
        filed = new DayTokens(Today, []);
        added.Clear();
    }

    private void Require(int tokens, long? limit, long used, string who)
    {
        if (limit - used >= Math.Max(1, tokens) || limit is not { } most) return;
        var midnight = new DateTimeOffset(Today.AddDays(1).ToDateTime(TimeOnly.MinValue), TimeSpan.Zero);
        throw new RequestException(
            StatusCodes.Status429TooManyRequests,
            $"{who} {Math.Max(0, most - used):N0} of {most:N0} tokens left for today, which ends at midnight UTC, and this takes "
            + $"{Math.Max(1, tokens):N0} more; ask for less or tomorrow.", code: "insufficient_quota")
        {
            RetryAfter = midnight - clock.GetUtcNow(),
        };
    }

    /// <summary>Adds what was used since to the file, whatever other servers added.</summary>
    private void Save()
    {
        lock (saving)
        {
            DayTokens since;
            lock (added)
            {
                Turn();
                since = new DayTokens(filed.Day, added.Where(a => a.Value != 0).ToDictionary());
            }
            try
            {
                var now = Filed(since);
                failed = false;
                lock (added)
                {
                    if (filed.Day != now.Day) return;
                    filed = now;
                    foreach (var (name, tokens) in since.Tokens) added[name] -= tokens;
                }
            }
            catch (LandmarkException e)
            {
                // Nothing is lost: it is counted here, and written when that can be done. Another server that writes just now is no news.
                if (failed) log.TokensNotWritten(e.Message);
                failed = true;
            }
        }
    }

    private DayTokens Filed(DayTokens since)
    {
        if (since.Tokens.Count == 0) return Read(file, since.Day);
        using var alone = WriterLock.Take(file);
        var now = Read(file, since.Day);
        foreach (var (name, tokens) in since.Tokens) now.Tokens[name] = now.Tokens.GetValueOrDefault(name) + tokens;
        PrivateFile.Write(file, now, AccessJson.Default.DayTokens);
        return now;
    }
}
