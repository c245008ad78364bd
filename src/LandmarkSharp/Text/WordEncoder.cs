using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Words to tokens: first symbols (characters, or bytes), then <see cref="PairMerges"/>. Words repeat, so short ones
/// are remembered. Safe for use from several threads.
/// </summary>
internal abstract class WordEncoder(PairMerges merges)
{
    private const int CachedWords = 1 << 16;
    private const int CachedLength = 32;

    private readonly ConcurrentDictionary<string, int[]> cache = new(StringComparer.Ordinal);
    private int cached;

    /// <summary>Appends the tokens of a word.</summary>
    public void Encode(ReadOnlySpan<char> word, List<int> output)
    {
        if (word.Length > CachedLength)
        {
            EncodeNew(word, output);
            return;
        }

        var known = cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!known.TryGetValue(word, out var ids))
        {
            var fresh = new List<int>(word.Length);
            EncodeNew(word, fresh);
            ids = [.. fresh];
            // Text settles on its words early: what comes after the cache is full is rare by then.
            // (Counted here: a concurrent dictionary's own Count takes all its locks.)
            if (cached < CachedWords && known.TryAdd(word, ids)) Interlocked.Increment(ref cached);
        }
        Append(ids, output);
    }

    /// <summary>Writes the symbols that merging starts from; at most <see cref="SymbolLimit"/>.</summary>
    protected abstract int Symbols(ReadOnlySpan<char> word, Span<int> symbols);

    /// <summary>The most symbols that a word of so many UTF-16 units can have.</summary>
    protected abstract int SymbolLimit(int length);

    /// <summary>A word that is one token as it stands, before any merging; −1 when there is none.</summary>
    protected virtual int Whole(ReadOnlySpan<char> word) => -1;

    /// <summary>Appends what a symbol becomes when nothing more merges with it.</summary>
    protected abstract void Emit(int symbol, List<int> output);

    /// <summary>Appends the tokens of one word after those of the words before it.</summary>
    protected virtual void Append(ReadOnlySpan<int> ids, List<int> output) => output.AddRange(ids);

    private void EncodeNew(ReadOnlySpan<char> word, List<int> output)
    {
        if (Whole(word) is >= 0 and var id)
        {
            output.Add(id);
            return;
        }

        var rented = ArrayPool<int>.Shared.Rent(SymbolLimit(word.Length));
        var symbols = rented.AsSpan(0, Symbols(word, rented));
        foreach (var symbol in symbols[..merges.Merge(symbols)]) Emit(symbol, output);
        ArrayPool<int>.Shared.Return(rented);
    }
}
