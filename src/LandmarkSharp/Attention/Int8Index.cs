using System.Runtime.InteropServices;

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

    private readonly List<Int8Keys>[] copies = [.. Enumerable.Range(0, groups).Select(_ => new List<Int8Keys>())];
    private float* landmarks;
    private nint landmarkStep;

    /// <inheritdoc/>
    public long Bytes => (long)groups * Covered * (Int8Keys.Row(width) + sizeof(float));

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
            while (mine.Count < count) mine.Add(new Int8Keys(landmarks + (g * step) + ((long)mine.Count * Step * width), Step, width));
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
                    LandmarkIndexes.Score(
                        landmarks + (group * landmarkStep), width, forms + ((long)u * share * width), share, new(mine, found), scores + ((long)u * share * step), step);
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

    /// <summary>Scores by the copies, [rows, covered].</summary>
    private void Score(int group, float* forms, int rows, float* scores, int covered)
    {
        var row = Int8Keys.Row(width);
        var rounded = (short*)NativeMemory.Alloc((nuint)rows, (nuint)((row * sizeof(short)) + sizeof(float)));     // [rows, row], then [rows]
        var factors = (float*)(rounded + ((long)rows * row));
        for (var r = 0; r < rows; r++) factors[r] = Int8Keys.Round(forms + ((long)r * width), width, rounded + ((long)r * row));
        foreach (var some in copies[group])
        {
            some.Dots(rounded, factors, rows, scores, covered);
            scores += Step;
        }
        NativeMemory.Free(rounded);
    }
}
