using System.Buffers;

namespace LandmarkSharp.Text;

/// <summary>
/// Byte-pair merging: which two neighbouring symbols become one, and in which order. The pair of lowest rank is
/// merged first and, among equal ranks, the leftmost: the order that SentencePiece and Hugging Face both define.
/// Runs in O(n log n) for n symbols.
/// </summary>
internal sealed class PairMerges
{
    // Up to this many symbols a scan for the best pair beats a heap.
    private const int ScanLimit = 48;
    private const int NoMerge = int.MaxValue;

    private readonly Dictionary<ulong, (int Rank, int Id)> merges = [];

    /// <summary>Adds "left then right make id"; a pair named twice keeps its first rank.</summary>
    public void Add(int left, int right, int rank, int id) => merges.TryAdd(Key(left, right), (rank, id));

    /// <summary>Merges in place; the result is the first of the span, as many as the returned count.</summary>
    public int Merge(Span<int> symbols) =>
        symbols.Length < 2 ? symbols.Length : symbols.Length <= ScanLimit ? Scan(symbols) : Heap(symbols);

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Rank(int left, int right) =>
        merges.TryGetValue(Key(left, right), out var merge) ? merge.Rank : NoMerge;

    private int Scan(Span<int> symbols)
    {
        Span<int> ranks = stackalloc int[ScanLimit];
        var count = symbols.Length;
        for (var i = 0; i + 1 < count; i++) ranks[i] = Rank(symbols[i], symbols[i + 1]);
        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                if (ranks[i] < ranks[best]) best = i;
            }
            if (ranks[best] == NoMerge) break;

            symbols[best] = merges[Key(symbols[best], symbols[best + 1])].Id;
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            ranks[(best + 1)..(count - 1)].CopyTo(ranks[best..]);
            count--;
            if (best > 0) ranks[best - 1] = Rank(symbols[best - 1], symbols[best]);
            if (best + 1 < count) ranks[best] = Rank(symbols[best], symbols[best + 1]);
        }
        return count;
    }

    // Symbols form a linked list by position; a merged pair lives on at its left position. Candidates on the heap
    // may be out of date when they come up: they are taken only if both symbols still stand as they did.
    private int Heap(Span<int> symbols)
    {
        const int None = -1;
        var links = ArrayPool<int>.Shared.Rent(2 * symbols.Length);
        var previous = links.AsSpan(0, symbols.Length);
        var next = links.AsSpan(symbols.Length, symbols.Length);
        var heap = new PriorityQueue<(int Left, int LeftId, int Right, int RightId, int Id), long>(symbols.Length);
        for (var i = 0; i < symbols.Length; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1 < symbols.Length ? i + 1 : None;
            if (next[i] != None) Propose(heap, symbols, i, i + 1);
        }

        // A position that was merged away is marked by pointing at itself.
        while (heap.TryDequeue(out var pair, out _))
        {
            var (left, leftId, right, rightId, id) = pair;
            if (next[left] != right || symbols[left] != leftId || symbols[right] != rightId) continue;
            symbols[left] = id;
            next[left] = next[right];
            next[right] = right;
            if (next[left] != None)
            {
                previous[next[left]] = left;
                Propose(heap, symbols, left, next[left]);
            }
            if (previous[left] != None) Propose(heap, symbols, previous[left], left);
        }

        var count = 0;
        for (var i = 0; i != None; i = next[i]) symbols[count++] = symbols[i];
        ArrayPool<int>.Shared.Return(links);
        return count;
    }

    private void Propose(
        PriorityQueue<(int, int, int, int, int), long> heap, Span<int> symbols, int left, int right)
    {
        if (merges.TryGetValue(Key(symbols[left], symbols[right]), out var merge))
            heap.Enqueue((left, symbols[left], right, symbols[right], merge.Id), ((long)merge.Rank << 32) | (uint)left);
    }
}
