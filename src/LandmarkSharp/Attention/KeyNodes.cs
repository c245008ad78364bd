using System.Numerics.Tensors;

namespace LandmarkSharp.Attention;

/// <summary>
/// Keys of consecutive blocks, reordered so that those near each other stand together: 8 in a node, 8 nodes in an upper node. A node is
/// known by its centre and by how far from it its farthest key is. Halves of halves, each cut across the direction in which its keys
/// spread most, so all nodes are full and a node's place says where its keys are.
/// </summary>
internal sealed unsafe class KeyNodes
{
    /// <summary>Keys of a node, and nodes of an upper node.</summary>
    public const int Fan = 8;

    private const int Turns = 4;                        // of the power iteration: the direction need not be exact

    private readonly int d;
    private float* source;                              // while they are ordered: whose keys they were may be gone before these

    /// <summary>Reorders keys.</summary>
    /// <param name="keys">[count, d].</param>
    /// <param name="first">The number of the first block.</param>
    /// <param name="count">Blocks: 64 times a power of two.</param>
    /// <param name="d">Width.</param>
    public KeyNodes(float* keys, int first, int count, int d)
    {
        (this.d, First, Count) = (d, first, count);
        source = keys;
        Blocks = new int[count];
        for (var i = 0; i < count; i++) Blocks[i] = i;
        Split(Blocks, new float[count], new float[3 * d]);
        Keys = Rows(count, d);
        for (var i = 0; i < count; i++) Key(Blocks[i]).CopyTo(Keys.AsSpan(i * d, d));
        source = null;
        for (var i = 0; i < count; i++) Blocks[i] += first;
        (Nodes, Upper) = (Summed(Fan), Summed(Fan * Fan));
    }

    /// <summary>The number of the first block.</summary>
    public int First { get; }

    /// <summary>Keys.</summary>
    public int Count { get; }

    /// <summary>[count]: the blocks of the keys.</summary>
    public int[] Blocks { get; }

    /// <summary>[count, d], pinned as all that kernels read.</summary>
    public float[] Keys { get; }

    /// <summary>[count / 8, d + 1]: the nodes' centres, each followed by how far from it its farthest key is.</summary>
    public float[] Nodes { get; }

    /// <summary>[count / 64, d + 1]: likewise of the upper nodes.</summary>
    public float[] Upper { get; }

    /// <summary>Bytes of all of it.</summary>
    public long Bytes => (Keys.Length + (long)Nodes.Length + Upper.Length + Blocks.Length) * sizeof(float);

    /// <summary>What <see cref="Bytes"/> is of so many keys of a width.</summary>
    public static long BytesOf(long count, int d) => (count + (count / Fan) + (count / Fan / Fan)) * (d + 1) * sizeof(float);

    private static float[] Rows(int count, int width) => GC.AllocateUninitializedArray<float>(count * width, pinned: true);

    private ReadOnlySpan<float> Key(int i) => new(source + ((long)i * d), d);

    /// <summary>Orders keys so that each half of them, and of each half, is apart from the other.</summary>
    private void Split(Span<int> ids, float[] places, float[] room)
    {
        if (ids.Length <= Fan)
        {
            ids.Sort();                                                                     // of equal keys the later one comes later
            return;
        }
        Span<float> mean = room.AsSpan(0, d), axis = room.AsSpan(d, d), next = room.AsSpan(2 * d, d);
        mean.Clear();
        foreach (var i in ids) TensorPrimitives.Add(mean, Key(i), mean);
        TensorPrimitives.Divide(mean, ids.Length, mean);
        // From the key that is farthest from the mean towards the direction of the greatest variance.
        var (farthest, most) = (ids[0], 0f);
        foreach (var i in ids)
            if (TensorPrimitives.Distance(Key(i), mean) is var away && away > most) (farthest, most) = (i, away);
        TensorPrimitives.Subtract(Key(farthest), mean, axis);
        for (var turn = 0; turn < Turns; turn++)
        {
            var offset = TensorPrimitives.Dot<float>(mean, axis);
            next.Clear();
            var sum = 0f;
            foreach (var i in ids)
            {
                var along = TensorPrimitives.Dot(Key(i), axis) - offset;
                TensorPrimitives.MultiplyAdd(Key(i), along, next, next);
                sum += along;
            }
            TensorPrimitives.MultiplyAdd(mean, -sum, next, next);
            var norm = TensorPrimitives.Norm<float>(next);
            if (!(norm > 0)) break;                                                         // all keys are equal, or one is no number
            TensorPrimitives.Divide(next, norm, axis);
        }
        for (var i = 0; i < ids.Length; i++) places[i] = TensorPrimitives.Dot(Key(ids[i]), axis);
        places.AsSpan(0, ids.Length).Sort(ids);
        Split(ids[..(ids.Length / 2)], places, room);
        Split(ids[(ids.Length / 2)..], places, room);
    }

    /// <summary>Nodes of so many keys each.</summary>
    private float[] Summed(int size)
    {
        var nodes = Rows(Count / size, d + 1);
        for (var n = 0; n < Count / size; n++)
        {
            var centre = nodes.AsSpan(n * (d + 1), d);
            ref var radius = ref nodes[(n * (d + 1)) + d];
            centre.Clear();
            radius = 0;
            for (var i = n * size; i < (n + 1) * size; i++) TensorPrimitives.Add(centre, Keys.AsSpan(i * d, d), centre);
            TensorPrimitives.Divide(centre, size, centre);
            for (var i = n * size; i < (n + 1) * size; i++)
                radius = Math.Max(radius, TensorPrimitives.Distance(Keys.AsSpan(i * d, d), centre));
        }
        return nodes;
    }
}
