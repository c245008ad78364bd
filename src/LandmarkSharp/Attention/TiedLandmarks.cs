namespace LandmarkSharp.Attention;

/// <summary>
/// The first layer's old landmarks, where all are one key in one slot, so score alike: of equals the later blocks are read, so there is
/// nothing to look for but the last k. The others count in the sum of a softmax that heads are compared by.
/// </summary>
/// <param name="k">Blocks that are read.</param>
/// <param name="width">Width of a head, d.</param>
internal sealed unsafe class TiedLandmarks(int k, int width) : ILandmarkIndex
{
    /// <summary>Blocks from which on this costs less than to go through all that score alike.</summary>
    public const int Worth = 1 << 10;

    private float* keys;                                // [G, …, d], as they were last covered
    private nint keyStep;
    private int covered;

    /// <inheritdoc/>
    public long Bytes => 0;

    private int Last => Math.Min(k, covered);

    /// <inheritdoc/>
    public int Cover(float* landmarks, nint step, int blocks)
    {
        keys = landmarks;
        keyStep = step;
        return covered = blocks;
    }

    /// <inheritdoc/>
    public int Found(int share) => Last + 1;

    /// <inheritdoc/>
    public void Find(int group, float* forms, int units, int share, int* blocks, float* scores, int step)
    {
        CpuRows.Float32.Dots(forms, units * share, (byte*)(keys + (group * keyStep)), 1, width, scores, step, null);
        for (var r = 0; r < units * share; r++)
        {
            var row = new Span<float>(scores + ((long)r * step), Last + 1);
            row.Fill(row[0]);
            row[Last] += MathF.Log(covered - Last);                                         // the others together, −∞ for none
        }
        for (var u = 0; u < units; u++)
        {
            var found = new Span<int>(blocks + ((long)u * step), Last + 1);
            for (var i = 0; i < Last; i++) found[i] = covered - Last + i;
            found[Last] = -1;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
