using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmarks of landmarks: <see cref="KeyNodes"/> over segments of the text. Of all upper nodes those are opened that promise most, of
/// their nodes likewise, and the keys of these are scored. Segments of 1,024 blocks become one of four times as many where there are
/// four, as digits carry, so that how a number of blocks is divided depends on nothing else.
/// </summary>
/// <param name="groups">Key-value heads, G.</param>
/// <param name="width">Width of a head, d.</param>
/// <param name="effort">Opens so many times as many nodes.</param>
/// <param name="shared">Segments that other texts have too; null for none.</param>
internal sealed unsafe class HierarchicalIndex(int groups, int width, double effort, SharedNodes? shared = null) : ILandmarkIndex
{
    private const int Smallest = 1 << 10, Largest = 1 << 16, Merged = 4;        // blocks of a segment
    private const int Stripe = 256;                     // nodes whose keys stay in the second cache while all units look at theirs

    // A node promises its centre's score and so much of what its farthest key could add: few keys lie straight towards the query.
    private const float Reach = 0.25f;

    // Of n keys, n^¾ need to be looked at for the same recall, and of four upper nodes one is worth opening (docs/index.md).
    private const double UpperShare = 1.5, NodeShare = UpperShare / 4;

    private readonly List<KeyNodes>[] segments = [.. Enumerable.Range(0, groups).Select(_ => new List<KeyNodes>())];
    private int covered, upperOpened, opened;

    /// <inheritdoc/>
    public long Bytes => segments.Sum(g => g.Where(s => !IsShared(s.First, s.Count)).Sum(s => s.Bytes));

    /// <inheritdoc/>
    public int Cover(float* landmarks, nint step, int blocks)
    {
        var sizes = Sizes(blocks);
        if (sizes.Sum() == covered) return covered;
        CpuParallel.For(groups, (long)blocks * width, g => Divide(g, landmarks + (g * step), sizes));
        covered = sizes.Sum();
        var share = effort / Math.Pow(Math.Max(1, covered), 0.25);
        int Of(int nodes, double part) => (int)Math.Min(nodes, Math.Ceiling(nodes * share * part));
        upperOpened = Of(covered / (KeyNodes.Fan * KeyNodes.Fan), UpperShare);
        opened = Math.Min(upperOpened * KeyNodes.Fan, Of(covered / KeyNodes.Fan, NodeShare));
        return covered;
    }

    /// <inheritdoc/>
    public int Found(int share) => opened * KeyNodes.Fan;

    /// <inheritdoc/>
    public void Find(int group, float* forms, int units, int share, int* blocks, float* scores, int step)
    {
        if (opened == 0) return;
        var (rows, upper, wide) = (units * share, covered / (KeyNodes.Fan * KeyNodes.Fan), width + 1);
        var most = Math.Max(upper, upperOpened * KeyNodes.Fan);
        var floats = (nuint)(((long)rows * (upper + wide)) + ((share + 1L) * most));
        var memory = (float*)NativeMemory.Alloc(floats + (nuint)(upperOpened + (units * (long)opened)), sizeof(float));
        try
        {
            float* looks = memory, bounds = looks + (rows * wide), own = bounds + ((long)rows * upper), promises = own + ((long)share * most);
            int* open = (int*)(memory + floats), nodes = open + upperOpened;
            for (var r = 0; r < rows; r++)                                                  // [q, Reach·|q|]·[centre, radius]
            {
                var form = new ReadOnlySpan<float>(forms + (r * width), width);
                form.CopyTo(new Span<float>(looks + (r * wide), width));
                looks[(r * wide) + width] = Reach * TensorPrimitives.Norm(form);
            }
            var at = 0;
            foreach (var s in segments[group])
            {
                var count = s.Count / (KeyNodes.Fan * KeyNodes.Fan);
                fixed (float* centres = s.Upper) Dots(looks, rows, centres, count, wide, bounds + at, upper);
                at += count;
            }
            for (var u = 0; u < units; u++)
            {
                Promise(bounds + ((long)u * share * upper), share, upper, upper, promises);
                CpuHighest.Places(promises, upper, open, upperOpened);
                Children(segments[group], looks + (u * share * wide), share, open, own, most);
                Promise(own, share, most, upperOpened * KeyNodes.Fan, promises);
                var mine = nodes + ((long)u * opened);
                CpuHighest.Places(promises, upperOpened * KeyNodes.Fan, mine, opened);
                for (var i = 0; i < opened; i++) mine[i] = (open[mine[i] / KeyNodes.Fan] * KeyNodes.Fan) + (mine[i] % KeyNodes.Fan);
            }
            Score(segments[group], forms, units, share, nodes, blocks, scores, step);
        }
        finally
        {
            NativeMemory.Free(memory);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var group in segments) group.Clear();
        covered = 0;
    }

    /// <summary>Bytes of one over the landmarks of so many blocks.</summary>
    public static long BytesOf(int groups, int width, long blocks) => groups * KeyNodes.BytesOf(blocks / Smallest * Smallest, width);

    /// <summary>The segments of so many blocks.</summary>
    private static List<int> Sizes(int blocks)
    {
        List<int> sizes = [];
        for (var size = Largest; size >= Smallest; size /= Merged)
            for (; blocks >= size; blocks -= size) sizes.Add(size);
        return sizes;
    }

    /// <summary>Keeps the segments that stay, and makes those that follow.</summary>
    private void Divide(int group, float* keys, List<int> sizes)
    {
        var (held, same, first) = (segments[group], 0, 0);
        for (; same < Math.Min(held.Count, sizes.Count) && held[same].Count == sizes[same]; same++) first += sizes[same];
        held.RemoveRange(same, held.Count - same);
        for (; same < sizes.Count; first += sizes[same++])
        {
            var (from, count) = (first, sizes[same]);
            KeyNodes Make() => new(keys + ((long)from * width), from, count, width);
            held.Add(IsShared(from, count) ? shared!.Of(group, from, count, Make) : Make());
        }
    }

    private bool IsShared(long first, long count) => shared?.Has(first, count) ?? false;

    private static void Dots(float* forms, int rows, float* keys, int count, int width, float* scores, nint step, float* ahead = null) =>
        CpuRows.Float32.Dots(forms, rows, (byte*)keys, count, width, scores, step, (byte*)ahead);

    /// <summary>Scores the nodes in some upper ones.</summary>
    private void Children(List<KeyNodes> held, float* looks, int share, int* open, float* scores, int step)
    {
        var (first, i, wide) = (0, 0, width + 1);
        foreach (var s in held)
        {
            fixed (float* centres = s.Nodes)
            {
                for (var end = first + (s.Count / (KeyNodes.Fan * KeyNodes.Fan)); i < upperOpened && open[i] < end; i++)
                {
                    var ahead = i + 1 < upperOpened && open[i + 1] < end ? centres + ((open[i + 1] - first) * KeyNodes.Fan * wide) : null;
                    Dots(
                        looks, share, centres + ((open[i] - first) * KeyNodes.Fan * wide), KeyNodes.Fan, wide, scores + (i * KeyNodes.Fan), step, ahead);
                }
                first += s.Count / (KeyNodes.Fan * KeyNodes.Fan);
            }
        }
    }

    /// <summary>
    /// What nodes promise a unit. Heads are compared by how much less than each one's best it is: about the logarithm of its share.
    /// </summary>
    internal static void Promise(float* scores, int share, nint step, int count, float* promises)
    {
        var to = new Span<float>(promises, count);
        to.Fill(float.NegativeInfinity);
        for (var h = 0; h < share; h++)
        {
            var row = new Span<float>(scores + (h * step), count);
            if (share > 1) TensorPrimitives.Subtract(row, TensorPrimitives.MaxNumber<float>(row), row);
            TensorPrimitives.MaxNumber<float>(to, row, to);                                 // NaN promises nothing
        }
    }

    /// <summary>Scores the keys of each unit's nodes, a stripe of nodes for all units before the next one.</summary>
    private void Score(List<KeyNodes> held, float* forms, int units, int share, int* nodes, int* blocks, float* scores, int step)
    {
        var next = stackalloc int[units];
        new Span<int>(next, units).Clear();
        var first = 0;
        foreach (var s in held)
        {
            fixed (float* keys = s.Keys)
            {
                for (var from = 0; from < s.Count / KeyNodes.Fan; from += Stripe)
                {
                    var end = first + Math.Min(from + Stripe, s.Count / KeyNodes.Fan);
                    for (var u = 0; u < units; u++)
                    {
                        for (var mine = nodes + ((long)u * opened); next[u] < opened && mine[next[u]] < end; next[u]++)
                        {
                            var (key, to) = ((mine[next[u]] - first) * KeyNodes.Fan, next[u] * KeyNodes.Fan);
                            var ahead = next[u] + 1 < opened && mine[next[u] + 1] < end ? keys + ((long)(mine[next[u] + 1] - first) * KeyNodes.Fan * width) : null;
                            Dots(
                                forms + (u * share * width), share, keys + ((long)key * width), KeyNodes.Fan, width,
                                scores + ((long)u * share * step) + to, step, ahead);
                            s.Blocks.AsSpan(key, KeyNodes.Fan).CopyTo(new Span<int>(blocks + ((long)u * step) + to, KeyNodes.Fan));
                        }
                    }
                }
            }
            first += s.Count / KeyNodes.Fan;
        }
    }
}
