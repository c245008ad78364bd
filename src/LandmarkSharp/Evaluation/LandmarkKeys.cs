using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// A model's own landmark keys and queries, for measuring indexes by (<see cref="IndexBenchmark"/>): the keys of documents read one by
/// one, and the queries of each one's last window.
/// </summary>
public sealed class LandmarkKeys : IDisposable
{
    private const int DocumentBlocks = 1024;            // of a document: what is held while it is read

    private readonly Tensor[] keys, queries;

    private LandmarkKeys(IEnumerable<Tensor> keys, IEnumerable<Tensor> queries) =>
        (this.keys, this.queries) = ([.. keys.Select(k => k.DetachFromDisposeScope())], [.. queries.Select(q => q.DetachFromDisposeScope())]);

    /// <summary>Layers.</summary>
    public int Layers => keys.Length;

    /// <summary>Landmarks of each layer and head.</summary>
    public int Count => (int)keys[0].shape[1];

    /// <summary>A layer's queries, [W, H, S, d]: whole windows, not rotated.</summary>
    public Tensor Queries(int layer) => queries[layer];

    /// <summary>Reads documents.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="texts">Texts, of which pieces of 1,024 blocks are documents; what is shorter is left out.</param>
    /// <param name="landmarks">Landmarks to stop at.</param>
    /// <param name="progress">Told how many there are.</param>
    /// <param name="cancel">Stops between documents.</param>
    /// <exception cref="LandmarkException">The model has no landmarks or no index serves it, or the texts are too short.</exception>
    public static LandmarkKeys Read(
        LandmarkEngine engine, IEnumerable<TextReader> texts, int landmarks, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        var landmark = engine.Config.Landmark ?? throw new LandmarkException("A model without landmarks has no landmark keys; give another.");
        LandmarkIndexes.Check(new RetrievalOptions { Index = LandmarkIndex.Hierarchical }, engine.Decoder.ComputeType, engine.Decoder.Device);
        using var scope = NewDisposeScope();
        var window = engine.Retrieval!.WindowBlocks;
        var blocks = (DocumentBlocks + window - 1) / window * window;
        var recorder = new Recorder(engine, landmark.BlockLength, window * landmark.BlockLength);
        var documents = texts.SelectMany(t => Perplexity.Contexts(engine.Tokenizer, t, blocks * landmark.BlockTokens))
            .Where(d => d.Length == blocks * landmark.BlockTokens);
        foreach (var document in documents)
        {
            cancel.ThrowIfCancellationRequested();
            recorder.Read(LandmarkStream.Insert(document, landmark.BlockTokens, landmark.Id));
            progress?.Report(recorder.Landmarks);
            if (recorder.Landmarks >= landmarks) break;
        }
        if (recorder.Landmarks < landmarks)
            throw new LandmarkException(
                $"The texts have {recorder.Landmarks:N0} landmarks in pieces of {blocks:N0} blocks, and {landmarks:N0} are to be read; "
                + "give more of them, or read fewer.");
        return new LandmarkKeys(recorder.Keys.Select(k => cat(k, 1)[.., ..landmarks].contiguous()), recorder.Queries.Select(q => stack(q)));
    }

    /// <summary>Opens what <see cref="Save"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <param name="engine">The model that they are of.</param>
    /// <exception cref="LandmarkException">It is no such file, or of a model of other shapes.</exception>
    public static LandmarkKeys Load(string path, LandmarkEngine engine)
    {
        using var file = SafeTensorFile.Open(path);
        var config = engine.Config;
        long[] shape = [config.KeyValueHeads, config.HeadDim], asked = [config.Heads, config.HeadDim];
        for (var l = 0; l < config.Layers; l++)
        {
            if (file.Entry($"keys.{l}").Shape is not [var groups, _, var width] || !shape.SequenceEqual([groups, width])
                || file.Entry($"queries.{l}").Shape is not [_, var heads, var window, var queryWidth] || !asked.SequenceEqual([heads, queryWidth])
                || window % config.Landmark!.BlockLength != 0)
                throw new LandmarkException($"'{path}' has keys and queries of a model of other shapes; give this model's, or leave it out to read them.");
        }
        return new LandmarkKeys(
            Enumerable.Range(0, config.Layers).Select(l => file.Get($"keys.{l}")),
            Enumerable.Range(0, config.Layers).Select(l => file.Get($"queries.{l}")));
    }

    /// <summary>Writes them as safetensors.</summary>
    public void Save(string path) => SafeTensors.Write(
        path, keys.Select((k, l) => ($"keys.{l}", k)).Concat(queries.Select((q, l) => ($"queries.{l}", q))));

    /// <summary>
    /// So many keys of a layer, [G, count + more, d], the last ones zeros. Beyond those that were read they are read ones again, each with
    /// noise of a third of how far numbers are spread in its place.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="count">How many.</param>
    /// <param name="more">Room after them.</param>
    public Tensor Grown(int layer, int count, int more)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(1, CPU);
        var own = keys[layer];
        var spread = own.std(1, keepdim: true) / 3;                                         // [G, 1, d]
        var grown = zeros([own.shape[0], count + more, own.shape[2]]);
        for (int at = 0, part; at < count; at += part)
        {
            using var step = NewDisposeScope();
            part = Math.Min(Count, count - at);
            var to = grown.narrow(1, at, part);
            to.copy_(own.narrow(1, 0, part));
            if (at > 0) to.add_(randn(Aten.Sizes(to).ToArray(), generator: random) * spread);
        }
        return grown.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in keys.Concat(queries)) tensor.Dispose();
    }

    /// <summary>A memory's attention, of which keys and queries are noted.</summary>
    private sealed class Recorder(LandmarkEngine engine, int length, int window) : IAttention
    {
        private ContextMemory memory = null!;

        public List<Tensor>[] Keys { get; } = Lists(engine);

        public List<Tensor>[] Queries { get; } = Lists(engine);

        public int Landmarks { get; private set; }

        public void Read(int[] positions)
        {
            using var quiet = inference_mode();
            using var held = memory = engine.NewMemory();
            memory.Reserve(positions.Length);
            for (int at = 0, count; at < positions.Length; at += count)
            {
                using var scope = NewDisposeScope();
                count = Math.Min(memory.Room, positions.Length - at);
                memory.Begin(count);
                engine.Decoder.Forward(tensor(positions[at..(at + count)].Select(t => (long)t).ToArray()).unsqueeze(0), this);
                memory.End();
                if (at + count < positions.Length) foreach (var layer in Queries) Drop(layer);
            }
            Landmarks += positions.Length / length;
        }

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            using (NewDisposeScope())
            {
                // A document's passes begin and end with windows, and so with blocks.
                var marks = k.squeeze(0).slice(1, length - 1, k.shape[2], length);
                Keys[layer].Add(engine.Decoder.Rotary.Rotate(marks, tensor(length - 1L)).contiguous().DetachFromDisposeScope());
                Queries[layer].Add(q.squeeze(0).narrow(1, q.shape[2] - window, window).contiguous().DetachFromDisposeScope());
            }
            return memory.Attend(layer, q, k, v);
        }

        private static List<Tensor>[] Lists(LandmarkEngine engine) => [.. Enumerable.Range(0, engine.Config.Layers).Select(_ => new List<Tensor>())];

        private static void Drop(List<Tensor> list)
        {
            list[^1].Dispose();
            list.RemoveAt(list.Count - 1);
        }
    }
}
