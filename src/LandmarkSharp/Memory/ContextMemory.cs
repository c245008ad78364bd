using LandmarkSharp.Attention;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// What a session has read, as keys and values, and the attention over it. A forward pass is bracketed by
/// <see cref="Begin"/> and <see cref="End"/>; the positions in between are the decoder's new ones, of one sequence.
/// </summary>
public abstract class ContextMemory : IAttention, IDisposable
{
    private int pending;

    /// <summary>Positions held, landmarks counted.</summary>
    public long Positions { get; private set; }

    /// <summary>The most positions that the next pass may take.</summary>
    public abstract int Room { get; }

    /// <summary>Bytes of keys and values held.</summary>
    public abstract long Bytes { get; }

    /// <summary>Readies the memory for a pass over so many new positions. One that was begun and not ended counts for nothing.</summary>
    /// <exception cref="LandmarkException">None, or more than <see cref="Room"/>.</exception>
    public void Begin(int count)
    {
        if (count < 1 || count > Room)
            throw new LandmarkException($"A pass over {count} positions does not fit: from 1 to {Room} are possible here.");
        Finish();                       // what a pass that failed has left belongs to its positions
        pending = count;
        Prepare(count);
    }

    /// <summary>Ends the pass: its positions are now part of what is held.</summary>
    public void End()
    {
        Positions += pending;
        pending = 0;
        Finish();
    }

    /// <summary>Begins after positions that others have computed.</summary>
    protected void StartAt(long positions) => Positions = positions;

    /// <summary>Makes room for so many positions in all, so that memory grows once; never required.</summary>
    public abstract void Reserve(long positions);

    /// <inheritdoc/>
    public abstract Tensor Attend(int layer, Tensor q, Tensor k, Tensor v);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>What a pass over <paramref name="count"/> positions needs in every layer, made once.</summary>
    protected abstract void Prepare(int count);

    /// <summary>Lets go of what <see cref="Prepare"/> made.</summary>
    protected abstract void Finish();

    /// <summary>Frees keys and values.</summary>
    protected abstract void Dispose(bool disposing);
}
