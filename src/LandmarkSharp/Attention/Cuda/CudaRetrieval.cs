using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>Where a sequence of a batch stands.</summary>
/// <param name="InMemory">Blocks before its window, m.</param>
/// <param name="Keys">Positions of its window, the query's counted, S.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DecodePlace(int InMemory, int Keys);

/// <summary>A sequence's blocks in a layer, as <see cref="RetrievedAttention.Attend"/> takes them.</summary>
/// <param name="Blocks">[n, G, 2, ℓ, d] on the device, or in pinned memory of the host: what is read of it then crosses the bus, and
/// it must live until the device has come that far.</param>
/// <param name="Landmarks">[G, n or more, d] on the device.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DecodeBlocks(Tensor Blocks, Tensor Landmarks);

/// <summary>
/// <see cref="RetrievedAttention"/> with stingy positions for one new token on CUDA (<c>landmark_decode.cu</c>): three launches
/// a layer, four with a context-miss token, nothing to wait for. It also takes several sequences of different lengths at once.
/// </summary>
internal sealed class CudaRetrieval : IDisposable
{
    private const int MissThreads = 128, ScanThreads = 128, ScanWarps = 4, ChooseThreads = 1024, ReadThreads = 256;

    private readonly DecodePlace[] places;
    private readonly int k, mostInMemory, mostKeys, length, device;
    private readonly Rotary rotary;
    private readonly RetrievalOptions options;
    private readonly ScalarType type;
    private Laid? laid;

    /// <summary>Readies what depends on places alone.</summary>
    /// <param name="places">Where each sequence stands, in the order of the batch.</param>
    /// <param name="length">Positions of a block, L.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="options">k and who shares a choice; <see cref="Serves"/> has said yes for each sequence.</param>
    /// <param name="type">Type of queries and memory.</param>
    /// <param name="device">The CUDA device.</param>
    /// <exception cref="LandmarkException">There is no sequence.</exception>
    public CudaRetrieval(
        ReadOnlySpan<DecodePlace> places, int length, Rotary rotary, RetrievalOptions options, ScalarType type, Device device)
    {
        if (places.IsEmpty) throw new LandmarkException("Attention over no sequence is not possible; give at least one.");
        this.places = places.ToArray();
        (this.length, this.rotary, this.options, this.type, this.device) = (length, rotary, options, type, Index(device));
        (mostInMemory, mostKeys) = (this.places.Max(p => p.InMemory), this.places.Max(p => p.Keys));
        k = Math.Min(options.TopK, mostInMemory);
    }

    /// <summary>Whether there is a kernel for what is asked, and a device that runs it.</summary>
    /// <param name="options">What is read.</param>
    /// <param name="keys">Positions of the window, S.</param>
    /// <param name="queries">Queries, T.</param>
    /// <param name="length">Positions of a block, L.</param>
    /// <param name="headDim">Width of a head, d.</param>
    /// <param name="type">Type of queries and memory.</param>
    /// <param name="device">Where the tensors live.</param>
    public static bool Serves(
        RetrievalOptions options, int keys, int queries, int length, int headDim, ScalarType type, Device device) =>
        device.type == DeviceType.CUDA && DecodeShape.Fits(options, keys, queries, length, headDim, type)
        && CudaKernels.UnavailableReason(Index(device)) is null;

    /// <summary>One layer's attention of the one sequence there is.</summary>
    /// <inheritdoc cref="RetrievedAttention.Attend"/>
    /// <returns>Of shapes [H, 1, d], [H, 1, k'] and [H, 1, k'].</returns>
    public Retrieved Attend(Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? miss = null) =>
        Attend(q, [new DecodeBlocks(blocks, landmarks)], tied, miss, [Aten.Sizes(q)[0], 1]);

    /// <summary>One layer's attention of all sequences, each over its own memory.</summary>
    /// <param name="q">[sequences, H, d], not rotated, not scaled.</param>
    /// <param name="memories">Each sequence's, in the order of the batch.</param>
    /// <param name="tied">In the first layer every landmark has the same key.</param>
    /// <param name="miss">[G, d]: the context-miss token's keys, not rotated, where the options have a cut-off.</param>
    /// <returns>
    /// [sequences, H, d], and as many rows of blocks and gates, [sequences, H, k'] with the k' of the largest memory: −1 and 0
    /// stand where fewer are read.
    /// </returns>
    /// <exception cref="LandmarkException">The tensors do not fit the places, or blocks on the host are not pinned.</exception>
    public Retrieved Attend(Tensor q, ReadOnlySpan<DecodeBlocks> memories, bool tied, Tensor? miss = null) =>
        Attend(q, memories, tied, miss, Aten.Sizes(q).Length == 3 ? Aten.Sizes(q)[..2] : throw NotQueries(q));

    /// <summary>[1] int32 there: heads that retrieved nothing though there were blocks, so far; null before a layer and without such a token.</summary>
    public Tensor? Dropped => options.MissCutoff is null ? null : laid?.Room.Dropped;

    /// <inheritdoc/>
    public void Dispose()
    {
        laid?.Room.Dispose();
        laid = null;
    }

    private Retrieved Attend(Tensor q, ReadOnlySpan<DecodeBlocks> memories, bool tied, Tensor? miss, ReadOnlySpan<long> rows)
    {
        var heads = (int)(rows[0] * rows[1] / places.Length);
        var groups = Groups(q, memories, heads);
        Check(miss, groups);
        if (laid is null || laid.Shape.Heads != heads || laid.Shape.Groups != groups) Lay(heads, groups);

        using var scope = NewDisposeScope();
        var to = q.device;
        var (queries, token) = (Whole(q), miss is null ? null : Whole(miss));
        var output = empty([rows[0], rows[1], rotary.HeadDim], type, to);
        var chosen = k == 0 ? null : empty([rows[0], rows[1], k], ScalarType.Int64, to);
        var gates = k == 0 ? null : empty([rows[0], rows[1], k], ScalarType.Float32, to);
        for (var first = 0; first < places.Length; first += DecodeShape.MostSequences)
            Launch(first, Math.Min(DecodeShape.MostSequences, places.Length - first), memories, tied, queries, token, output, chosen, gates);
        foreach (var memory in memories)
        {
            GC.KeepAlive(memory.Blocks);
            GC.KeepAlive(memory.Landmarks);
        }
        return new Retrieved(
            output.MoveToOuterDisposeScope(), chosen?.MoveToOuterDisposeScope(), gates?.MoveToOuterDisposeScope());
    }

    /// <summary>What the layers of a pass have in common, once the first has shown how many heads there are.</summary>
    private void Lay(int heads, int groups)
    {
        var shape = new DecodeShape(
            heads, groups, options.Selection, k, mostInMemory, ((mostKeys - 1) / length) + 1,
            Math.Min(places.Length, DecodeShape.MostSequences));
        var scan = DecodeKernels.Load(device, type, rotary.HeadDim, shape.ScanHeads);
        var read = DecodeKernels.Load(device, type, rotary.HeadDim, shape.ReadHeads);
        var splits = shape.Splits(scan.Multiprocessors);
        var parts = splits + ((k + ScanWarps - 1) / ScanWarps);
        var keyBytes = 4L * shape.MostBlocks;
        var keysInShared = keyBytes <= scan.KeyBytes;
        var sizes = new DecodeKernels.Sizes
        {
            Heads = heads,
            Groups = groups,
            Repeat = heads / groups / shape.ScanHeads,
            Tokens = length - 1,
            TopK = k,
            Splits = splits,
            Parts = parts,
            ChosenHeads = shape.ChosenHeads,
            MostBlocks = shape.MostBlocks,
            SharedKeys = keysInShared ? 1 : 0,
            Scale = (float)(rotary.ScoreScale / Math.Sqrt(rotary.HeadDim) / Math.Log(2)),
            Enough = (float)options.Enough,
            Cutoff = (float)options.Cutoff,
        };
        laid?.Room.Dispose();
        var on = new Device(DeviceType.CUDA, device);
        var room = new DecodeRoom(shape, parts, keysInShared, rotary.HeadDim, on);
        var angles = rotary.DistancesOn(on, mostKeys + ((k + 1) * length) + 1);                // a context-miss token stands before all slots
        laid = new Laid(shape, scan, read, room, angles, sizes, keysInShared ? (int)keyBytes : 0);
    }

    /// <summary>The launches for sequences <paramref name="first"/> and so many on.</summary>
    private void Launch(
        int first, int count, ReadOnlySpan<DecodeBlocks> memories, bool tied, Tensor queries, Tensor? miss, Tensor output, Tensor? chosen,
        Tensor? gates)
    {
        var (shape, scan, read, room, angles, sizes, keyBytes) = laid!;
        sizes.Tied = tied ? 1 : 0;
        var sequences = default(DecodeKernels.Sequences);
        var mostInRun = 0;
        for (var i = 0; i < count; i++)
        {
            var (place, memory) = (places[first + i], memories[first + i]);
            var marks = Whole(memory.Landmarks);
            sequences[i] = new DecodeKernels.Sequence
            {
                Blocks = memory.Blocks.device_type == DeviceType.CUDA ? Aten.DataPointer(Whole(memory.Blocks)) : Pinned(memory.Blocks),
                Landmarks = Aten.DataPointer(marks),
                Capacity = Aten.Sizes(marks)[1],
                InMemory = place.InMemory,
                Position = place.Keys - 1,
            };
            mostInRun = Math.Max(mostInRun, place.InMemory);
        }

        var row = (long)first * shape.Heads;
        long Row(Tensor? x, long width, int bytes) => x is null ? 0 : Aten.DataPointer(x) + (row * width * bytes);
        var query = Row(queries, rotary.HeadDim, type == ScalarType.Float32 ? 4 : 2);
        var picks = Row(chosen, k, sizeof(long));
        var masses = miss is null ? 0 : room.Masses;
        void Queue(CudaKernel kernel, Dim3 grid, int threads, int bytes, bool early, ReadOnlySpan<long> addresses)
        {
            var arguments = default(KernelArguments);
            arguments.AddStruct(sequences);
            foreach (var address in addresses)
                arguments.Add(address);
            arguments.AddStruct(sizes);
            kernel.Launch(new LaunchShape(grid, new Dim3((uint)threads), bytes, Early: early && scan.StartsEarly), ref arguments);
        }

        var turns = Aten.DataPointer(angles);
        var units = (uint)(shape.Heads / shape.ScanHeads);
        if (miss is not null)
            Queue(
                scan.Miss, new Dim3(units, (uint)count), MissThreads, 0, early: false,
                [query, turns, Aten.DataPointer(miss), masses, Aten.DataPointer(room.Dropped)]);
        var scans = mostInRun > k || (k > 0 && options.EndsByMass);     // else all are read
        if (scans)
            Queue(
                scan.Scan, new Dim3((uint)sizes.Parts, units, (uint)count), ScanThreads, 0, early: miss is not null,
                [query, turns, masses, room.Scores, room.Totals]);
        if (k > 0)
            Queue(
                scan.Choose, new Dim3((uint)shape.Choices, (uint)count), ChooseThreads, keyBytes, early: scans,
                [room.Scores, room.Totals, masses, room.Keys, picks]);
        sizes.Repeat = shape.Heads / shape.Groups / shape.ReadHeads;
        Queue(
            read.Read, new Dim3((uint)shape.Slots, (uint)(shape.Heads / shape.ReadHeads), (uint)count), ReadThreads, 0, early: k > 0,
            [
                query, turns, masses, picks, room.Sums, room.Logits, room.Arrived,
                Row(output, rotary.HeadDim, type == ScalarType.Float32 ? 4 : 2), Row(gates, k, sizeof(float)),
            ]);
    }

    /// <summary>Checks a layer's tensors, for kernels take addresses.</summary>
    /// <returns>Key-value heads, G.</returns>
    private int Groups(Tensor q, ReadOnlySpan<DecodeBlocks> memories, int heads)
    {
        if (memories.Length != places.Length)
            throw new LandmarkException($"Attention of {places.Length} sequences was given {memories.Length} memories; give one for each.");
        if (q.dtype != type || q.device_type != DeviceType.CUDA || q.device_index != device
            || q.numel() != (long)places.Length * heads * rotary.HeadDim)
            throw NotQueries(q);
        var groups = memories[0].Blocks.dim() == 5 ? (int)Aten.Sizes(memories[0].Blocks)[1] : 0;
        for (var i = 0; i < memories.Length; i++)
        {
            var (blocks, landmarks) = memories[i];
            var needed = places[i].InMemory + ((places[i].Keys + length - 1) / length);
            ReadOnlySpan<long> held = Aten.Sizes(blocks), marks = Aten.Sizes(landmarks);
            if (groups < 1 || heads % groups != 0 || blocks.dtype != type || landmarks.dtype != type
                || held.Length != 5 || held[0] < needed || !held[1..].SequenceEqual([groups, 2, length - 1, rotary.HeadDim])
                || marks.Length != 3 || marks[0] != groups || marks[1] < needed || marks[2] != rotary.HeadDim
                || landmarks.device_type != DeviceType.CUDA || landmarks.device_index != device
                || (blocks.device_type == DeviceType.CUDA ? blocks.device_index != device : blocks.device_type != DeviceType.CPU))
                throw new LandmarkException(
                    $"Sequence {i} of {places[i].InMemory} blocks and {places[i].Keys} positions: found blocks {blocks.dtype} "
                    + $"[{string.Join(", ", held.ToArray())}] on {blocks.device} and landmarks {landmarks.dtype} "
                    + $"[{string.Join(", ", marks.ToArray())}] on {landmarks.device}; expected {type} "
                    + $"[{needed} or more, G, 2, {length - 1}, {rotary.HeadDim}] on cuda:{device} or pinned, and "
                    + $"[G, {needed} or more, {rotary.HeadDim}] on cuda:{device}, with one G for all that divides {heads}.");
        }
        return groups;
    }

    private void Check(Tensor? miss, int groups)
    {
        if (miss is null != options.MissCutoff is null
            || (miss is not null && (miss.dtype != type || miss.device_type != DeviceType.CUDA || miss.device_index != device
                || !Aten.Sizes(miss).SequenceEqual([groups, rotary.HeadDim]))))
            throw new LandmarkException(
                $"Attention {(options.MissCutoff is null ? "without" : "with")} a context-miss cut-off was given "
                + $"{(miss is null ? "no keys" : $"keys {miss.dtype} [{string.Join(", ", miss.shape)}] on {miss.device}")} of such a token; "
                + $"a cut-off goes with {type} keys [{groups}, {rotary.HeadDim}] on cuda:{device}.");
    }

    private LandmarkException NotQueries(Tensor q) => new(
        $"Attention of {places.Length} sequences on cuda:{device} was given queries {q.dtype} [{string.Join(", ", q.shape)}] on "
        + $"{q.device}; expected {type} [{places.Length}, H, {rotary.HeadDim}] there.");

    /// <summary>Without gaps and at a multiple of 16 bytes, as kernels read it; copied if it is not.</summary>
    private static Tensor Whole(Tensor x) => x.is_contiguous() && Aten.DataPointer(x) % 16 == 0 ? x : x.contiguous().clone();

    /// <summary>The address by which the device reads memory of the host.</summary>
    private long Pinned(Tensor x)
    {
        using var entered = CudaContext.Of(device).Enter();
        return x.is_contiguous() && CudaApi.DeviceAddress(Aten.DataPointer(x)) is { } address && address % 16 == 0
            ? address
            : throw new LandmarkException(
                "Blocks in the host's memory are read by the device where they lie, and these are not pinned, or not contiguous, or "
                + "not at a multiple of 16 bytes; use pin_memory, or move them to the device.");
    }

    private static int Index(Device device) => Math.Max(0, device.index);

    private sealed record Laid(
        DecodeShape Shape, DecodeKernels Scan, DecodeKernels Read, DecodeRoom Room, Tensor Angles, DecodeKernels.Sizes Sizes, int KeyBytes);
}
