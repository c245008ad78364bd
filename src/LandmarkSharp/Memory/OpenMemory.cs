using System.Buffers;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Memory files open for a model, as what sessions begin with: the blocks of all complete documents, one document after the other, as if
/// they had been read. Landmark keys are in memory, once for all sessions; blocks are read where they lie in the files, when they are
/// chosen, and what is read of each is compared with its hash before it is used for the first time. For any number of sessions and threads; to be
/// disposed after them.
/// </summary>
/// <remarks>
/// A document's last block, if its text does not fill it, stands there filled up, so each document begins a block. That of the last document is
/// left out: its tokens, <see cref="Tail"/>, come first in a session's own text, which goes on where the document ended.
/// </remarks>
public sealed class OpenMemory : IDisposable
{
    private readonly ScalarType landmarkType;
    private readonly OpenMemory? whole;                 // that this is a part of
    private readonly IReadOnlyList<long> numbers;       // of its blocks there
    private readonly SharedLandmarks landmarks;
    private readonly SharedNodes[] nodes;               // by layer
    private readonly int[][] seen, expected;            // by layer: a bit for each head of each block that was compared with its hash, and that will be read

    private OpenMemory(MemoryTexts texts, ScalarType landmarkType, HotBound? hot, OpenMemory? whole = null, IReadOnlyList<long>? numbers = null)
    {
        (Texts, this.landmarkType, this.whole, this.numbers) = (texts, landmarkType, whole, numbers ?? []);
        int[][] Bits() => [.. Enumerable.Range(0, Model.Layers).Select(_ => new int[((Blocks * Model.Heads) + 31) / 32])];
        (seen, expected) = (Bits(), Bits());
        nodes = [.. seen.Select(_ => new SharedNodes(Model.Heads, Blocks))];
        Pages = new BlockPages(Model.Heads, Model.BlockTokens, Model.HeadDim, Type);
        landmarks = new SharedLandmarks(Model, Blocks, landmarkType);
        if (hot is not null) Hot = new HotPages(Model.Layers, Blocks * Pages.Bytes, hot);
    }

    /// <summary>The model that it belongs to.</summary>
    public MemoryModel Model => Texts.Model;

    /// <summary>What keys and values are kept as.</summary>
    public ScalarType Type => Texts.Type;

    /// <summary>The complete documents, in the order in which sessions have read them: that of the files, and of each file's catalog.</summary>
    public IReadOnlyList<MemoryEntry> Documents => Texts.Documents;

    /// <summary>Which documents these are.</summary>
    internal IReadOnlyList<DocumentVersion> Versions => [.. Documents.Select(d => d.Version)];

    /// <summary>The sessions that were saved, and can be gone on with.</summary>
    public IReadOnlyList<MemoryEntry> Sessions => Texts.Sessions;

    /// <summary>Blocks that a session begins with.</summary>
    public long Blocks => Texts.Blocks;

    /// <summary>The tokens at the end of the last document that fill no block.</summary>
    public IReadOnlyList<int> Tail => Texts.Tail;

    /// <summary>Bytes of what sessions with a hierarchical index have in common of it: the first that needs a part of it makes that.</summary>
    public long IndexBytes => nodes.Sum(n => n.Bytes);

    /// <summary>Places at most at which one of its sessions maps files between two layers: the system has not many for a process.</summary>
    internal int Mappings => (Model.Layers * Model.Heads) + Math.Min(Model.Layers * Texts.Parts.Count, OpenedBlocks.MostMapped);

    /// <summary>Whether these are some blocks of another open memory.</summary>
    internal bool IsPart => whole is not null;

    /// <summary>The documents.</summary>
    internal MemoryTexts Texts { get; }

    /// <summary>How a layer of a block lies in its file.</summary>
    internal BlockPages Pages { get; }

    /// <summary>What questions that look for blocks and documents begin with.</summary>
    internal KeptStart<Generation.Session> Searches { get; } = new();

    /// <summary>Whether any has been looked for, so that the next one takes less. Any thread may say so.</summary>
    internal bool IsSearched { get; set; }

    /// <summary>Which blocks are in memory, where there is a bound to that.</summary>
    internal HotPages? Hot { get; }

    /// <summary>Opens memory files.</summary>
    /// <param name="paths">The files, in the order in which they are read.</param>
    /// <param name="model">The model that is to read them.</param>
    /// <param name="type">What it is to keep blocks as; null for as the files do.</param>
    /// <param name="landmarkType">Type of its landmark keys.</param>
    /// <param name="hot">A bound to the blocks that sessions keep in memory; null for as many as the system likes.</param>
    /// <exception cref="LandmarkException">
    /// One is not there, is no memory file, is damaged, belongs to another model, keeps blocks as another type, or has no complete document.
    /// </exception>
    internal static OpenMemory Open(
        IReadOnlyList<string> paths, MemoryModel model, ScalarType? type, ScalarType landmarkType, HotBound? hot)
    {
        var texts = MemoryTexts.Open(paths, model, type);
        try
        {
            var opened = new OpenMemory(texts, landmarkType, hot);
            opened.FillLandmarks(opened.ReadLandmarks);
            return opened;
        }
        catch
        {
            texts.Dispose();
            throw;
        }
    }

    /// <summary>Bytes that blocks' landmark keys take when they are open, and what sessions have in common of an index over them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="blocks">How many.</param>
    /// <param name="landmarkType">Type of its landmark keys.</param>
    /// <param name="index">How sessions find blocks.</param>
    internal static long BytesOf(MemoryModel model, long blocks, ScalarType landmarkType, LandmarkIndex index) =>
        SharedLandmarks.BytesOf(model, blocks, landmarkType)
        // In the first layer all landmarks are equal, and there is nothing to find.
        + (index == LandmarkIndex.Hierarchical ? (model.Layers - 1) * HierarchicalIndex.BytesOf(model.Heads, model.HeadDim, blocks) : 0);

    /// <summary>The number that a session's block has where all of the memory is read, of which this is a part; its own where this is all.</summary>
    internal long NumberInWhole(long block) =>
        whole is null ? block : block < Blocks ? numbers[(int)block] : block - Blocks + whole.Blocks;

    /// <summary>The file that a document or session lies in.</summary>
    internal MemoryFile FileOf(MemoryEntry entry) => Texts.FileOf(entry);

    /// <summary>Some blocks of this memory, as a memory of their own: as if the documents held nothing else. To be disposed before this one.</summary>
    /// <param name="blocks">Their numbers, in any order.</param>
    internal OpenMemory Of(IEnumerable<long> blocks)
    {
        List<long> numbers = [.. blocks.Distinct().Order()];
        var focused = new OpenMemory(Texts.Of(numbers), landmarkType, hot: null, whole: this, numbers);
        focused.FillLandmarks(layer => focused.landmarks.Copy(landmarks, layer, numbers));
        return focused;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Searches.Dispose();
        landmarks.Dispose();
        if (IsPart) return;
        Hot?.Dispose();
        Texts.Dispose();
    }

    /// <summary>The part that a block belongs to.</summary>
    internal MemoryPart PartOf(long block) => Texts.PartOf(block);

    /// <summary>Has a layer's landmark keys where a session's are, and leaves its blocks' places, for which there is room.</summary>
    internal void Begin(int layer, LayerBlocks blocks)
    {
        if (Blocks == 0) return;
        blocks.Leave(Blocks);
        blocks.MapLandmarks(landmarks.File, landmarks.Offset(layer), Blocks);
    }

    /// <summary>Has a part's blocks of a layer in their places.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="index">The part's number.</param>
    /// <param name="blocks">The session's.</param>
    /// <exception cref="LandmarkException">The system refuses.</exception>
    internal void Map(int layer, int index, LayerBlocks blocks)
    {
        var part = Texts.Parts[index];
        var (file, offset) = part.File.PagesOf(part.Stored, layer);
        blocks.Map(part.First, file, offset + (part.From * Pages.Bytes), part.Blocks);
    }

    /// <summary>The parts of a layer's index that sessions have in common.</summary>
    internal SharedNodes Nodes(int layer) => nodes[layer];

    /// <summary>Has the system begin to read a head of a block, the first time it is asked for. For any number of threads.</summary>
    internal void Expect(int layer, long block, int head)
    {
        if (Has(expected[layer], block, head)) return;
        Set(expected[layer], block, head);
        var part = PartOf(block);
        part.File.ExpectHead(part.Stored, layer, part.Within(block), head);
    }

    /// <summary>Compares a head of a block with its hash, the first time it is asked for. For any number of threads.</summary>
    /// <exception cref="LandmarkException">It is damaged, or the disk refuses.</exception>
    internal void Check(int layer, long block, int head)
    {
        if (Has(seen[layer], block, head)) return;
        var part = PartOf(block);
        part.File.CheckHead(part.Stored, layer, part.Within(block), head);
        Set(seen[layer], block, head);
    }

    private bool Has(int[] bits, long block, int head)
    {
        var (word, bit) = Math.DivRem((block * Model.Heads) + head, 32);
        return (Volatile.Read(ref bits[word]) & (1 << (int)bit)) != 0;
    }

    private void Set(int[] bits, long block, int head)
    {
        var (word, bit) = Math.DivRem((block * Model.Heads) + head, 32);
        Interlocked.Or(ref bits[word], 1 << (int)bit);
    }

    private void FillLandmarks(Action<int> fill)
    {
        try
        {
            Parallel.For(0, Model.Layers, fill);                                            // reading and hashing takes a processor each
        }
        catch (AggregateException e)
        {
            landmarks.Dispose();
            Hot?.Dispose();
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }

    private void ReadLandmarks(int layer)
    {
        var row = (int)(Model.HeadDim * landmarkType.ElementSize());
        foreach (var part in Texts.Parts)
        {
            using var scope = NewDisposeScope();
            var stored = part.Stored.Blocks;                                                // the last one may be left out
            var rented = ArrayPool<float>.Shared.Rent(Model.Heads * stored * Model.HeadDim);
            var keys = rented.AsSpan(0, Model.Heads * stored * Model.HeadDim);
            part.File.ReadLandmarks(layer, [part.Stored], keys);                            // [G, n, d]
            var bytes = landmarkType == ScalarType.Float32 ? MemoryMarshal.AsBytes(keys) : tensor(keys.ToArray()).to(landmarkType).bytes;
            for (var head = 0; head < Model.Heads; head++)
                landmarks.Write(layer, head, part.First * row, bytes.Slice(head * stored * row, part.Blocks * row));
            ArrayPool<float>.Shared.Return(rented);
        }
    }
}
