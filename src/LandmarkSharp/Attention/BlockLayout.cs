using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Where the blocks of a sequence lie, and what each query may see of them. Keys are arranged in N blocks of W columns: a
/// complete block stands right-aligned with its landmark in the last column, the unfinished last block left-aligned.
/// Every mask follows from that arrangement (landmark-attention.md 1.3 and 1.4):
/// a query sees the regular tokens of its own block up to itself, and of an earlier block, through its landmark, all of them.
/// Landmarks may stand anywhere; where they stand regularly the arrangement is a padding, else a gather.
/// </summary>
public sealed class BlockLayout : IDisposable
{
    /// <summary>What a masked score is set to: its exponential is 0 in every type, and it is no infinity, so no NaN.</summary>
    public const double Masked = -30000;

    private readonly Lazy<Tables> tables;
    private readonly Dictionary<(ScalarType, string), Tensor> biases = [];

    private BlockLayout(
        bool[][] landmark, bool[][]? visible, int queries, int columns, Device device, RegularBlocks? regular = null, int[][]? documents = null)
    {
        int rows = landmark.Length, keys = landmark[0].Length;
        if (queries < 1 || queries > keys)
            throw new LandmarkException(
                $"Attention of {queries} queries over {keys} keys: queries are the last positions of the keys, "
                + "so there must be at least one and no more than keys.");
        (Keys, Queries, Columns, Blocks) = (keys, queries, columns, landmark.Max(r => r.Count(x => x) + (r[^1] ? 0 : 1)));
        (Rows, Regularity) = (rows, regular);
        // Masks grow with the square of the sequence, and kernels need none.
        tables = new Lazy<Tables>(() => Arrange(landmark, visible, documents, device));
        Documents = documents is null ? null : DocumentsOfBlocks(documents, columns, device);
    }

    /// <summary>Rows of the batch, each with its own blocks; 1 for all.</summary>
    public int Rows { get; }

    /// <summary>Keys in the sequence, S.</summary>
    public long Keys { get; }

    /// <summary>Queries, T: the last T positions of the keys.</summary>
    public long Queries { get; }

    /// <summary>Blocks, N, the unfinished last one counted.</summary>
    public long Blocks { get; }

    /// <summary>Columns of a block, W: its longest length, the landmark's column counted.</summary>
    public long Columns { get; }

    /// <summary>[R, 1, T, N, W] bool (R rows: the batch, or 1 for all): the regular tokens a query may see.</summary>
    public Tensor Visible => tables.Value.Visible;

    /// <summary>[R, 1, T, N] bool: blocks in the query's gate. An empty block is in none (landmark-attention.md 1.4).</summary>
    public Tensor GateVisible => tables.Value.GateVisible;

    /// <summary>[R, 1, T, 1, 1] int64: each query's own block.</summary>
    public Tensor OwnBlock => tables.Value.OwnBlock;

    /// <summary>[R, 1, T, N] bool: whether the block is the query's own.</summary>
    public Tensor IsOwn => tables.Value.IsOwn;

    /// <summary>The blocks in numbers, where landmarks stand at regular places and no key is masked.</summary>
    internal RegularBlocks? Regularity { get; }

    /// <summary>
    /// Where documents are packed, [R, 2, N] int32: for each block the first block of its document, and the first one after it.
    /// </summary>
    internal Tensor? Documents { get; }

    /// <summary>Landmarks at regular places, as training windows and memories have them.</summary>
    /// <param name="keys">Positions in the sequence, S.</param>
    /// <param name="queries">Queries, T ≤ S: the last T positions.</param>
    /// <param name="block">Positions in a block, its landmark counted, L.</param>
    /// <param name="firstBlock">Positions of the first block, its landmark counted, 1 to L: a window may start anywhere.</param>
    /// <param name="device">Where the masks live.</param>
    /// <exception cref="LandmarkException">There are not so many keys as queries, or no such blocks.</exception>
    public static BlockLayout Regular(int keys, int queries, int block, int firstBlock, Device? device = null)
    {
        if (block < 2 || firstBlock < 1 || firstBlock > block)
            throw new LandmarkException(
                $"Blocks of {block} positions beginning with one of {firstBlock} are not possible: "
                + "a block needs 2 positions or more, and the first one at most a block's.");
        var landmark = new bool[keys];
        for (var j = firstBlock - 1; j < keys; j += block)
            landmark[j] = true;
        return new BlockLayout([landmark], null, queries, block, device ?? CPU, new RegularBlocks(keys, queries, block, firstBlock));
    }

    /// <summary>Windows packed with documents, of which each begins a block: a query sees nothing before its document. Where no
    /// kernels for tensor cores serve, attention over it takes memory that grows with the square of the sequence.</summary>
    /// <param name="keys">Positions in the sequence, S.</param>
    /// <param name="queries">Queries, T ≤ S: the last T positions.</param>
    /// <param name="block">Positions in a block, its landmark counted, L.</param>
    /// <param name="documents">For each row of the batch, or once for all, where documents begin: 0 first, then multiples of L, rising.</param>
    /// <param name="device">Where the masks live.</param>
    /// <exception cref="LandmarkException">There are no such blocks, or a document begins elsewhere.</exception>
    public static BlockLayout Packed(int keys, int queries, int block, IReadOnlyList<IReadOnlyList<int>> documents, Device? device = null)
    {
        using var regular = Regular(keys, queries, block, block);
        foreach (var row in documents)
        {
            if (row.Count == 0 || row[0] != 0 || row.Any(at => at % block != 0 || at >= keys) || row.Zip(row.Skip(1)).Any(x => x.First >= x.Second))
                throw new LandmarkException(
                    $"Documents packed into {keys} positions begin at [{string.Join(", ", row)}]; "
                    + $"the first begins at 0 and each next one later, at a multiple of the block's {block} positions.");
        }
        if (documents.Count == 0) throw new LandmarkException("A batch without rows holds no packed documents; give at least one row.");
        var landmark = Enumerable.Range(0, keys).Select(j => j % block == block - 1).ToArray();
        return new BlockLayout(
            [.. documents.Select(_ => landmark)], null, queries, block, device ?? CPU, regular.Regularity, [.. documents.Select(row => row.ToArray())]);
    }

    /// <summary>Landmarks anywhere, each row its own.</summary>
    /// <param name="isLandmark">[B, S] bool.</param>
    /// <param name="queries">Queries, T ≤ S: the last T positions.</param>
    /// <param name="keyMask">[B, S] bool: false where a key is padding and never seen; all are seen when null.</param>
    /// <exception cref="LandmarkException">There are not so many keys as queries.</exception>
    public static BlockLayout Irregular(Tensor isLandmark, int queries, Tensor? keyMask = null)
    {
        var landmark = RowsOf(isLandmark);
        var visible = keyMask is null ? null : RowsOf(keyMask);
        var longest = landmark.Max(row =>
        {
            int length = 0, most = 0;
            foreach (var x in row)
            {
                most = Math.Max(most, ++length);
                if (x) length = 0;
            }
            return most;
        });
        return new BlockLayout(landmark, visible, queries, longest + 1, isLandmark.device);
    }

    /// <summary>Keys or values arranged in blocks.</summary>
    /// <param name="x">[B, G, S, d].</param>
    /// <returns>[B, G, N·W, d]; columns that hold no key hold anything finite.</returns>
    public Tensor Arrange(Tensor x)
    {
        var (index, front) = (tables.Value.Index, tables.Value.Front);
        if (index is not null)
            return x.gather(2, index.view(-1, 1, index.shape[1], 1).expand(x.shape[0], x.shape[1], -1, x.shape[3]));
        var back = (Blocks * Columns) - front - Keys;
        return front == 0 && back == 0 ? x.alias() : nn.functional.pad(x, [0, 0, front, back]);
    }

    /// <summary>Attention weights back in the order of the keys.</summary>
    /// <param name="weights">[B, H, T, N, W].</param>
    /// <returns>[B, H, T, S].</returns>
    public Tensor Restore(Tensor weights)
    {
        using var flat = weights.flatten(3, 4);
        return flat.gather(3, tables.Value.Place.view(-1, 1, 1, Keys).expand(weights.shape[0], weights.shape[1], Queries, -1));
    }

    /// <summary>What is added to scores: 0 where <see cref="Visible"/>, <see cref="Masked"/> elsewhere; [R, 1, T, N, W].</summary>
    public Tensor Bias(ScalarType type)
    {
        var key = (type, Visible.device.ToString());
        if (!biases.TryGetValue(key, out var bias))
        {
            using var scope = NewDisposeScope();
            bias = Visible.logical_not().to(type) * Masked;
            biases[key] = bias.DetachFromDisposeScope();
        }
        return bias;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (tables.IsValueCreated) tables.Value.Dispose();
        Documents?.Dispose();
        foreach (var bias in biases.Values) bias.Dispose();
        biases.Clear();
    }

    private Tables Arrange(bool[][] landmark, bool[][]? visible, int[][]? documents, Device device)
    {
        var (rows, padded) = (landmark.Length, Regularity is not null);
        var place = new long[rows, Keys];
        var slot = new long[rows, Blocks * Columns];
        var seen = new bool[rows, Queries, Blocks * Columns];
        var gate = new bool[rows, Queries, Blocks];
        var own = new long[rows, Queries];
        for (var r = 0; r < rows; r++)
            Arrange(landmark[r], visible?[r], documents?[r] ?? [0], r, place, slot, seen, gate, own);

        using var scope = NewDisposeScope();
        var ownBlock = tensor(own, device: device).view(rows, 1, Queries, 1, 1).DetachFromDisposeScope();
        return new Tables(
            padded ? place[0, 0] : 0,
            padded ? null : tensor(slot, device: device).DetachFromDisposeScope(),
            tensor(place, device: device).DetachFromDisposeScope(),
            tensor(seen, device: device).view(rows, 1, Queries, Blocks, Columns).DetachFromDisposeScope(),
            tensor(gate, device: device).unsqueeze(1).DetachFromDisposeScope(),
            ownBlock,
            (ownBlock.squeeze(-1) == arange(Blocks, device: device)).DetachFromDisposeScope());
    }

    /// <summary>Fills one row's tables.</summary>
    private void Arrange(
        bool[] landmark, bool[]? visible, int[] documents, int row, long[,] place, long[,] slot, bool[,,] seen, bool[,,] gate, long[,] own)
    {
        int keys = landmark.Length, first = (int)(Keys - Queries), width = (int)Columns, block = 0;
        for (int start = 0, end; start < keys; start = end, block++)
        {
            end = Array.IndexOf(landmark, true, start) + 1;
            var complete = end > 0;
            if (!complete) end = keys;
            // A complete block ends in the last column; the unfinished one begins in the first.
            var column = (block * width) + (complete ? width - (end - start) : 0) - start;
            var regular = complete ? end - 1 : end;
            for (var j = start; j < end; j++)
                (place[row, j], slot[row, column + j]) = (column + j, j);

            var after = Array.Find(documents, at => at > start) is var next and > 0 ? next : keys;     // whence no query sees the block
            var tokens = 0; // regular tokens of the block that can be seen up to the query
            for (var j = start; j < regular; j++)
            {
                if (visible is not null && !visible[j]) continue;
                tokens++;
                for (var i = Math.Max(j, first); i < after; i++)
                    seen[row, i - first, column + j] = true;
            }
            var gated = complete && tokens > 0 && (visible is null || visible[end - 1]);
            for (var i = Math.Max(start, first); i < after; i++)
            {
                if (i < end) own[row, i - first] = block;
                gate[row, i - first, block] = i >= end ? gated : SeesOwn(i);
            }

            bool SeesOwn(int i)
            {
                for (var j = start; j <= i && j < regular; j++)
                    if (visible is null || visible[j]) return true;
                return false;
            }
        }
    }

    private Tensor DocumentsOfBlocks(int[][] documents, int length, Device device)
    {
        var numbers = new int[documents.Length, 2, Blocks];
        for (var r = 0; r < documents.Length; r++)
        {
            for (var (b, d) = (0, 0); b < Blocks; b++)
            {
                if (d + 1 < documents[r].Length && documents[r][d + 1] == b * length) d++;
                (numbers[r, 0, b], numbers[r, 1, b]) =
                    (documents[r][d] / length, d + 1 < documents[r].Length ? documents[r][d + 1] / length : (int)Blocks);
            }
        }
        return tensor(numbers, device: device).DetachFromDisposeScope();
    }

    private static bool[][] RowsOf(Tensor mask)
    {
        using var cpu = mask.to(ScalarType.Bool).cpu().contiguous();
        var flat = cpu.data<bool>().ToArray();
        return flat.Chunk((int)mask.shape[^1]).ToArray();
    }

    /// <summary>What the reference reads; <see cref="Front"/> are the columns before the first key of a padded layout.</summary>
    private sealed record Tables(
        long Front, Tensor? Index, Tensor Place, Tensor Visible, Tensor GateVisible, Tensor OwnBlock, Tensor IsOwn) : IDisposable
    {
        public void Dispose()
        {
            foreach (var t in (ReadOnlySpan<Tensor?>)[Index, Place, Visible, GateVisible, OwnBlock, IsOwn]) t?.Dispose();
        }
    }
}
