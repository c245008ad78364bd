using LandmarkSharp.Memory;

namespace LandmarkSharp.Generation;

/// <content>A session that goes on from the middle of another.</content>
public sealed partial class Session
{
    /// <summary>
    /// A session that has read the first tokens of this one, which stays as it is. Whole blocks are copied; of the others' tokens, fewer
    /// than two blocks have, keys and values are computed again when it goes on.
    /// </summary>
    /// <param name="tokens">How many of <see cref="Tokens"/>.</param>
    /// <exception cref="LandmarkException">
    /// The session has not so many, the model has no landmarks, so that there are no blocks, or there is no memory for them.
    /// </exception>
    public Session Fork(int tokens) => Fork(tokens, (tokens - 1) / (landmark?.BlockTokens ?? 1));       // what the last one predicts is computed, not copied

    /// <summary>A fork of all that was computed, for one who reads on before anything is predicted.</summary>
    internal Session ForkToReadOn() => Fork(text.Count, text.Count / landmark!.BlockTokens);

    private Session Fork(int tokens, int whole)
    {
        if (memory is not BlockMemory mine)
            throw new LandmarkException("A model without landmarks keeps no blocks that a fork could begin with; begin a new session.");
        if (tokens < 1 || tokens > text.Count)
            throw new LandmarkException($"A session of {text.Count} tokens cannot fork after {tokens}; choose from 1 to {text.Count}.");
        var blocks = (int)Math.Min(whole, (mine.Positions / mine.BlockLength) - Opened);
        var held = blocks * landmark!.BlockTokens;
        engine.RequireRoom(held);
        var begun = new SavedSession(
            null, [.. text[..held]], [.. text[held..tokens]], blocks, (layer, into, first) => into.CopyFrom(mine.Layers[layer]!, first, blocks));
        if (opened is not null) return engine.NewSession(opened, begun);
        var own = (BlockMemory)engine.NewMemory();
        try
        {
            if (blocks > 0) own.StartAfter(blocks, mine.Layers[0]!.Groups, (layer, into) => begun.Read(layer, into, 0));
            return new Session(engine, own, saved: begun);
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }
}
