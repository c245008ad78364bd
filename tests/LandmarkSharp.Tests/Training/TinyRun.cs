using System.Text;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Text;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>A tokenizer of single letters, a small language as token shards, and a recipe that trains in a second.</summary>
internal sealed class TinyRun : IDisposable
{
    private static readonly string[] Things = ["fox", "bird", "stone", "lamp", "river", "boat", "tree", "owl"];
    private static readonly string[] Looks = ["red", "small", "old", "bright", "quiet"];
    private static readonly string[] Deeds = ["sees", "finds", "keeps", "follows"];

    private readonly TemporaryFolder folder = new();

    public TinyRun()
    {
        LibTorch.Load();
        WriteTokenizer(Tokenizer);
        var tokenizer = LandmarkSharp.Text.Tokenizer.Load(Tokenizer);
        Shards = Build(tokenizer, "train", seed: 1, sentences: 1500);
        Validation = Build(tokenizer, "validation", seed: 2, sentences: 150);
    }

    /// <summary>Two layers, blocks of 15 tokens, windows of five blocks; no retrieval tasks.</summary>
    public static TrainingOptions Recipe { get; } = new()
    {
        HiddenSize = 32,
        IntermediateSize = 48,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadDim = 8,
        BlockTokens = 15,
        Sources = new Dictionary<string, double> { ["train"] = 1 },
        Stages = [new TrainingStage { Window = 512, Rows = 2, TaskShare = 0 }],
        Steps = 12,
        WarmUp = 3,
        PeakRate = 1e-2,
        FinalRate = 1e-3,
        ComputeType = "float32",
    };

    public string Tokenizer => folder["tokenizer.model"];

    public string Shards { get; }

    public string Validation { get; }

    public string this[string name] => folder[name];

    /// <summary>Writes the tokenizer of single letters.</summary>
    public static void WriteTokenizer(string path) => File.WriteAllBytes(path, TokenizerBuilder.Model(
        [
            new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3), .. TokenizerBuilder.BytePieces(),
            .. Letters.Select(c => new TestPiece(c.ToString())),
        ]));

    /// <summary>A run into a folder of this name.</summary>
    public TrainingRun Into(string name) => new()
    {
        Output = folder[name],
        Tokenizer = Tokenizer,
        Shards = Shards,
        ReportEvery = 1,
        ValidateEvery = 1000,
        ValidationBatches = 1,
        ValidationRows = 2,
        SaveEvery = 1000,
    };

    /// <summary>The lines of a run's metrics file.</summary>
    public string[] Metrics(string name) => File.ReadAllLines(Path.Combine(folder[name], "metrics.jsonl"));

    public void Dispose() => folder.Dispose();

    private static IEnumerable<char> Letters => Enumerable.Range(33, 94).Select(c => (char)c).Append('▁').Append('\n');

    private string Build(Tokenizer tokenizer, string name, int seed, int sentences)
    {
        var (random, text) = (new Random(seed), new StringBuilder());
        string One(string[] words) => words[random.Next(words.Length)];
        for (var i = 0; i < sentences; i++) text.Append($"The {One(Looks)} {One(Things)} {One(Deeds)} the {One(Looks)} {One(Things)}. ");
        File.WriteAllText(folder[name + ".txt"], text.ToString());
        new TokenShardsBuilder(tokenizer).Build(
            folder[name + "-shards"], [(name, folder[name + ".txt"])], TestContext.Current.CancellationToken);
        return folder[name + "-shards"];
    }
}
