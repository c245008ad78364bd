using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>
/// A model and its tokenizer, ready to read and answer: one engine serves any number of <see cref="Session"/>s, each with a
/// memory of its own.
/// </summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load("models/landmark-10m");
/// using var session = engine.NewSession();
/// session.Append(File.ReadAllText("book.txt"));
/// session.Append("\nQuestion: Who owns the lighthouse?\nAnswer:");
/// foreach (var token in session.Generate(new GenerationOptions { Stop = ["\n"] }))
///     Console.Write(token.Text);
/// </code>
/// </example>
public sealed class LandmarkEngine : IDisposable
{
    private readonly bool owner;

    /// <summary>Puts an engine together.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="retrieval">How it reads; null for a model without landmarks.</param>
    /// <param name="owner">Whether the model is this engine's to dispose.</param>
    internal LandmarkEngine(Decoder decoder, Tokenizer tokenizer, RetrievalOptions? retrieval, bool owner = true) =>
        (Decoder, Tokenizer, Retrieval, this.owner) = (decoder, tokenizer, retrieval, owner);

    /// <summary>The model's shapes and constants.</summary>
    public ModelConfig Config => Decoder.Config;

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The model itself.</summary>
    public Decoder Decoder { get; }

    /// <summary>How texts longer than the window are read; null for a model without landmarks.</summary>
    public RetrievalOptions? Retrieval { get; }

    /// <summary>Loads a model folder in Hugging Face's layout.</summary>
    /// <param name="folder">config.json, safetensors and a tokenizer.</param>
    /// <param name="options">Device, type and retrieval.</param>
    /// <exception cref="LandmarkException">A file is missing or damaged, or they do not belong together; the message names it.</exception>
    public static LandmarkEngine Load(string folder, EngineOptions? options = null)
    {
        options ??= new EngineOptions();
        var (tokenizer, retrieval) = Checked(folder, options);
        return new LandmarkEngine(Checkpoint.Load(folder, options.Device ?? CPU, options.Type), tokenizer, retrieval);
    }

    /// <summary>Makes sure of all that can be known of a model folder and options without the weights.</summary>
    /// <inheritdoc cref="Load"/>
    internal static void Check(string folder, EngineOptions? options) => Checked(folder, options ?? new EngineOptions());

    private static (Tokenizer Tokenizer, RetrievalOptions? Retrieval) Checked(string folder, EngineOptions options)
    {
        LibTorch.Load();
        if (!Directory.Exists(folder))
            throw new LandmarkException(File.Exists(folder)
                ? $"'{folder}' is a file; give the model's folder."
                : $"There is no model folder '{folder}'; check the path.");
        var config = ConfigFile.Load(folder);
        var tokenizer = Tokenizer.Load(folder);
        CheckTokenizer(folder, config, tokenizer);
        if (config.Landmark is null && options.Retrieval is not null)
            throw new LandmarkException(
                $"{folder} is a model without landmarks, so nothing can be retrieved; leave out the number of blocks.");
        if (options.Retrieval?.MissCutoff is not null && config.Landmark!.MissId is null)
            throw new LandmarkException(
                $"{folder} is a model without a context-miss token, so a cut-off of its mass would do nothing; leave it out, or train with context_miss.");
        var retrieval = config.Landmark is { } landmark ? (options.Retrieval ?? landmark.Retrieval()).Checked() : null;
        if (retrieval is { MissCutoff: null }) retrieval = retrieval with { MissCutoff = config.Landmark!.Retrieval().MissCutoff };
        if (retrieval is not null)
        {
            BlockType.Of(retrieval, options.Type, options.Device ?? CPU);
            LandmarkIndexes.Check(retrieval, options.Type, options.Device ?? CPU);
        }
        return (tokenizer, retrieval);
    }

    /// <summary>Bytes of keys and values that a session holds for each regular token that it remembers, its part of a landmark counted.</summary>
    public long BytesPerToken
    {
        get
        {
            var (rows, type) = ((long)Config.Layers * Config.KeyValueHeads, Decoder.ComputeType);
            var row = rows * BlockType.RowBytes(type, Config.HeadDim);
            return (2 * rows * BlockType.RowBytes(Retrieval?.BlockType ?? type, Config.HeadDim)) + (Config.Landmark is { } landmark ? (row + landmark.BlockTokens - 1) / landmark.BlockTokens : 0);
        }
    }

    /// <summary>Whether the keys and values of so many tokens fit in the memory that is free.</summary>
    public bool HasRoom(long tokens) => (double)Remembered(tokens) * BytesPerToken <= FreeBytes;

    private long Remembered(long tokens) => Config.Recurrence is { } r ? Math.Min(tokens, (long)r.Window + r.Cache) : tokens;

    private long FreeBytes => Decoder.Device.type == DeviceType.CUDA && Retrieval is not { HostBlocks: true }
        ? CudaDriver.Devices().FirstOrDefault(d => d.Index == Decoder.Device.index)?.MemoryBytes ?? long.MaxValue
        : ProcessMemory.AvailableBytes;

    /// <summary>Makes sure that a text fits in memory, before hours are spent on reading it.</summary>
    /// <param name="tokens">Its tokens, or about so many.</param>
    /// <param name="text">What to call it in the error.</param>
    /// <exception cref="LandmarkException">Its keys and values take more memory than there is.</exception>
    public void RequireRoom(long tokens, string text = "a text")
    {
        if (!HasRoom(tokens))
            throw new LandmarkException(
                $"Reading {text} of about {tokens:N0} tokens takes {(double)Remembered(tokens) * BytesPerToken / 1e9:N1} GB of memory "
                + $"({BytesPerToken:N0} bytes each), "
                + $"and {FreeBytes / 1e9:N1} GB are free; give a shorter text, or load the model in a type of fewer bytes.");
    }

    /// <summary>A session that has read nothing yet.</summary>
    public Session NewSession() => new(this, NewMemory());

    /// <summary>Opens memory files for sessions of this model, and reads their landmark keys.</summary>
    /// <param name="paths">The files; sessions have read the complete documents of all, in this order.</param>
    /// <param name="hotBytes">
    /// Bytes of blocks that its sessions keep in memory: what was read least recently goes first. Null leaves it to the system, which takes
    /// memory back when it is short. Landmark keys and what sessions read themselves come on top.
    /// </param>
    /// <exception cref="LandmarkException">
    /// One cannot be opened, is damaged, is another model's, or has no complete document; or the model cannot read it: it has no landmarks,
    /// is not on the CPU, or keeps blocks as another type.
    /// </exception>
    public OpenMemory OpenMemory(IReadOnlyList<string> paths, long? hotBytes = null) =>
        OpenMemoryWithin(paths, hotBytes is { } bytes ? new HotBound(bytes) : null);

    /// <summary>Opens memory files as <see cref="OpenMemory"/> does, within a bound that other memories may share.</summary>
    internal OpenMemory OpenMemoryWithin(IReadOnlyList<string> paths, HotBound? hot)
    {
        var model = this.MemoryModel();
        if (Decoder.Device.type != TorchSharp.DeviceType.CPU)
            throw new LandmarkException($"A memory file is read on the CPU alone, and the model is on {Decoder.Device.type}; load it there.");
        if (Retrieval!.WindowIsCall)
            throw new LandmarkException("A memory file cannot be read where the window is what is computed at once; leave out WindowIsCall.");
        return Memory.OpenMemory.Open(paths, model, Retrieval.BlockType, Decoder.ComputeType, hot);
    }

    /// <summary>
    /// A session that has read all complete documents of a memory: it goes on where the last one ends. What it reads and generates is its
    /// own, and the memory's blocks are shared with all sessions.
    /// </summary>
    /// <param name="memory">The memory, which must not be closed before the session.</param>
    /// <exception cref="LandmarkException">It was opened for another model, or for one that keeps blocks as another type.</exception>
    public Session NewSession(OpenMemory memory) => NewSession(memory, null);

    /// <summary>A session as it was saved in one of a memory's files: it goes on where it stopped, after the memory's documents.</summary>
    /// <param name="memory">The memory, which must not be closed before the session.</param>
    /// <param name="name">The session's name.</param>
    /// <exception cref="LandmarkException">
    /// The memory was opened for another model, or for one that keeps blocks as another type; or it has no such session, or that is damaged.
    /// </exception>
    public Session OpenSession(OpenMemory memory, string name) => NewSession(memory, SavedSession.Find(memory, name));

    /// <summary>The same of a session that may have been saved since the memory was opened, from its file as it is now.</summary>
    internal Session OpenSession(OpenMemory memory, string name, MemoryFile newer) => NewSession(memory, SavedSession.Find(memory, name, newer));

    internal Session NewSession(OpenMemory memory, SavedSession? saved)
    {
        if (memory.Model != this.MemoryModel() || Retrieval!.WindowIsCall || (Retrieval.BlockType ?? memory.Type) != memory.Type)
            throw new LandmarkException("The memory was opened for another model, or for one that reads otherwise; open it with this one.");
        // What the session reads is kept as the memory's blocks are.
        var own = (BlockMemory)With(Retrieval with { BlockType = memory.Type }).NewMemory();
        try
        {
            own.StartAfter(memory, saved?.Blocks ?? 0, (layer, blocks) => saved!.Read(layer, blocks, memory.Blocks));
            return new Session(this, own, memory, saved);
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Blocks as passages of text, placed in what the tokens spell. That is the text which was read, unless the tokenizer rewrites it
    /// (composes characters, drops spaces) or has no token for some of it.
    /// </summary>
    /// <param name="tokens">A session's tokens.</param>
    /// <param name="blocks">Numbers of blocks, as <see cref="Session.Trace"/> has them, in any order.</param>
    /// <returns>In the order of the text, each once.</returns>
    /// <exception cref="LandmarkException">There is no such block.</exception>
    public IReadOnlyList<Passage> Passages(IReadOnlyList<int> tokens, IEnumerable<long> blocks) =>
        Passage.Of(Tokenizer, tokens, Config.Landmark?.BlockTokens ?? 1, blocks);

    /// <summary>
    /// The same model without retrieval: all that a session reads is one window, at positions as far as it goes. Past the trained
    /// length that is what landmark attention is compared with.
    /// </summary>
    /// <returns>An engine that shares this one's weights; disposing it does nothing, and it must not outlive this one.</returns>
    /// <exception cref="LandmarkException">The model has no landmarks, so it never retrieves.</exception>
    public LandmarkEngine Plain()
    {
        var landmark = Config.Landmark
            ?? throw new LandmarkException("A model without landmarks is always fed plainly; leave out the comparison with that.");
        return With(new RetrievalOptions { TopK = 1, MissCutoff = Retrieval!.MissCutoff, WindowBlocks = int.MaxValue / landmark.BlockLength / 2 });
    }

    /// <summary>The same model, reading otherwise.</summary>
    /// <param name="retrieval">How.</param>
    /// <returns>An engine that shares this one's weights; disposing it does nothing, and it must not outlive this one.</returns>
    /// <exception cref="LandmarkException">The model has no landmarks, or the options make no sense.</exception>
    public LandmarkEngine With(RetrievalOptions retrieval) => Config.Landmark is null
        ? throw new LandmarkException("A model without landmarks retrieves nothing; leave out how.")
        : new LandmarkEngine(Decoder, Tokenizer, retrieval.Checked(), owner: false);

    /// <summary>
    /// How questions of memories are read: as texts are, but with twice the model's k where nobody said how many blocks, and they fit
    /// (docs/memory.md). <c>engine.With(engine.MemoryRetrieval())</c> reads so.
    /// </summary>
    /// <param name="topK">Blocks read per query; null where nobody says.</param>
    /// <exception cref="LandmarkException">The model has no landmarks, or the number is below 1 or more than are kept.</exception>
    public RetrievalOptions MemoryRetrieval(int? topK = null)
    {
        if (Config.Landmark is not { } landmark) throw new LandmarkException("A model without landmarks reads no blocks of a memory; choose one with landmarks.");
        return topK is { } k ? landmark.Retrieval(Retrieval!, k) : landmark.MemoryRetrieval(Retrieval!);
    }

    /// <summary>Throws where a token is no text's: outside the vocabulary, or one of the model's own.</summary>
    /// <exception cref="LandmarkException">One is; the message says which.</exception>
    public void RequireRegular(ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens)
        {
            if ((uint)token >= (uint)Config.VocabularySize)
                throw new LandmarkException(
                    $"Token {token} is outside the model's vocabulary of {Config.VocabularySize}; use the model's own tokenizer.");
            if (Config.Landmark is { } landmark && landmark.OwnTokens.Contains(token))
                throw new LandmarkException(
                    $"Token {token} is "
                    + (token == landmark.Id ? "the landmark, which the session puts in by itself" : "the context-miss token, which is no text's")
                    + "; give regular tokens alone.");
        }
    }

    /// <summary>The log-probabilities of tokens by the states that predict them, [n, D]; the model's own tokens have no share.</summary>
    internal float[] LogProbabilities(Tensor hidden, IReadOnlyList<int> targets)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var logits = Decoder.Logits(hidden).to(ScalarType.Float32);                         // [n, V]
        foreach (var own in Config.Landmark?.OwnTokens ?? []) logits.select(1, own).fill_(float.NegativeInfinity);
        var picks = tensor(targets.Select(t => (long)t).ToArray(), device: logits.device).unsqueeze(1);
        return Finite.Checked([.. logits.log_softmax(-1).gather(1, picks).squeeze(1).cpu().contiguous().data<float>()]);
    }

    /// <summary>An empty memory for this model.</summary>
    internal ContextMemory NewMemory() => Config.Landmark is { } landmark
        ? new BlockMemory(
            Config.Layers, landmark.BlockLength, landmark.WindowPositions, Decoder.Rotary, Retrieval!, Decoder.ComputeType, Decoder.Device,
            ContextMissKeys.Of(Decoder))
        : Config.Recurrence is { } recurrence ? new RecurrentMemory(Config.Layers, Decoder.Rotary, recurrence)
        : new PlainMemory(Config.Layers, Decoder.Rotary, Config.SlidingWindow);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (owner) Decoder.Dispose();
    }

    private static void CheckTokenizer(string folder, ModelConfig config, Tokenizer tokenizer)
    {
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new LandmarkException(
                $"The tokenizer in {folder} has {tokenizer.VocabularySize} tokens and the model {config.VocabularySize}; "
                + "put the model's own tokenizer there.");
        if (config.TokenizerFingerprint is { } expected && expected != tokenizer.Fingerprint)
            throw new LandmarkException(
                $"The tokenizer in {folder} is not the one that the model was trained with "
                + $"(fingerprint {tokenizer.Fingerprint[..12]}…, expected {expected[..Math.Min(12, expected.Length)]}…); "
                + "put the model's own tokenizer there.");
    }
}
