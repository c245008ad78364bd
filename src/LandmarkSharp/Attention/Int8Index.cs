using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// All landmarks, scored by copies of a quarter of the bytes: int8, each key with a scale of its own, as rows of blocks have. Those that score
/// highest are scored again as they are.
/// </summary>
/// <param name="groups">Key-value heads, G.</param>
/// <param name="width">Width of a head, d.</param>
/// <param name="topK">Blocks that are chosen, k.</param>
/// <param name="effort">Scores so many times as many again.</param>
internal sealed unsafe class Int8Index(int groups, int width, int topK, double effort) : ILandmarkIndex
{
    private const int Step = 1 << 10;                   // keys that are copied at once
    private const int Spare = 2, Least = 32;            // times k, and at least so many, are scored again
    private const int Room = 1 << 20;                   // scores that are held at once, and a unit's at least

    private static readonly CpuRows Rows = CpuRows.For(ScalarType.Int8);

    private readonly List<Copies>[] copies = [.. Enumerable.Range(0, groups).Select(_ => new List<Copies>())];
    private float* landmarks;
    private nint landmarkStep;

    /// <inheritdoc/>
    public long Bytes => (long)groups * Covered * (width + sizeof(float));

    private int Covered => copies[0].Count * Step;

    /// <inheritdoc/>
    public int Cover(float* landmarks, nint step, int blocks)
    {
        this.landmarks = landmarks;
        landmarkStep = step;
        var count = blocks / Step;
        if (count == copies[0].Count) return Covered;
        CpuParallel.For(groups, (long)blocks * width, g =>
        {
            var mine = copies[g];
            if (mine.Count > count) mine.RemoveRange(count, mine.Count - count);
            while (mine.Count < count) mine.Add(new Copies(landmarks + (g * step) + ((long)mine.Count * Step * width), width));
        });
        return Covered;
    }

    /// <inheritdoc/>
    public int Found(int share) => (int)Math.Min(Covered, Math.Ceiling(effort * Math.Max(Least, Spare * topK)));

    /// <inheritdoc/>
    public void Find(int group, float* forms, int units, int share, int* blocks, float* scores, int step)
    {
        var (covered, found) = (Covered, Found(share));
        if (found == 0) return;
        var most = (int)Math.Clamp(Room / ((long)share * covered), 1, units);
        var rough = (float*)NativeMemory.Alloc((nuint)((((long)most * share) + 1) * covered), sizeof(float));    // [units, share, covered]
        var promises = rough + ((long)most * share * covered);                                                 // [covered]
        try
        {
            for (var first = 0; first < units; first += most)
            {
                var some = Math.Min(most, units - first);
                Score(group, forms + ((long)first * share * width), some * share, rough, covered);
                for (var u = first; u < first + some; u++)
                {
                    HierarchicalIndex.Promise(rough + ((long)(u - first) * share * covered), share, covered, covered, promises);
                    var mine = blocks + ((long)u * step);
                    CpuHighest.Places(promises, covered, mine, found);
                    for (var i = 0; i < found; i++)
                        CpuRows.Float32.Dots(
                            forms + ((long)u * share * width), share, (byte*)(landmarks + (group * landmarkStep) + ((long)mine[i] * width)), 1, width,
                            scores + ((long)u * share * step) + i, step, null);
                }
            }
        }
        finally
        {
            NativeMemory.Free(rough);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var group in copies) group.Clear();
    }

    /// <summary>Scores of the copies, [rows, covered].</summary>
    private void Score(int group, float* forms, int rows, float* scores, int covered)
    {
        foreach (var some in copies[group])
        {
            fixed (byte* keys = some.Keys) Rows.Dots(forms, rows, keys, Step, width, scores, covered, null);
            for (var r = 0; r < rows; r++)
            {
                var row = new Span<float>(scores + ((long)r * covered), Step);
                TensorPrimitives.Multiply(row, some.Scales, row);
            }
            scores += Step;
        }
    }

    /// <summary>Copies of some keys.</summary>
    private sealed class Copies
    {
        public Copies(float* keys, int width)
        {
            (Keys, Scales) = (GC.AllocateUninitializedArray<byte>(Step * width), new float[Step]);
            fixed (byte* to = Keys)
            fixed (float* scales = Scales)
            {
                for (var i = 0; i < Step; i++) Rows.Store(keys + ((long)i * width), width, to + (i * width), scales + i);
            }
        }

        /// <summary>[1024, d] int8.</summary>
        public byte[] Keys { get; }

        /// <summary>[1024]: what they are multiplied by.</summary>
        public float[] Scales { get; }
    }
}
