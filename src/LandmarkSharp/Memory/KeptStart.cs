namespace LandmarkSharp.Memory;

/// <summary>What all uses of one kind begin with, kept from one to the next. A use of another kind has its own put in its place. For any threads.</summary>
/// <typeparam name="T">What is kept.</typeparam>
internal sealed class KeptStart<T> : IDisposable
    where T : class, IDisposable
{
    private readonly Lock use = new();
    private (object Kind, T Start)? kept;

    /// <summary>Makes something of it; others wait.</summary>
    /// <param name="kind">Of the use, compared by its value.</param>
    /// <param name="make">Makes what uses of the kind begin with.</param>
    /// <param name="from">Makes what is wanted of that.</param>
    public TResult Use<TResult>(object kind, Func<T> make, Func<T, TResult> from)
    {
        lock (use)
        {
            if (kept?.Kind.Equals(kind) != true)
            {
                Dispose();
                kept = (kind, make());
            }
            return from(kept!.Value.Start);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (use)
        {
            kept?.Start.Dispose();
            kept = null;
        }
    }
}
