using System.CommandLine;
using System.Globalization;
using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Text;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench index</c>: what finding blocks costs among many landmarks, and which are found.</summary>
internal sealed class BenchIndexCommand : LandmarkCommand
{
    private readonly Option<string[]> landmarks = new("--landmarks")
    {
        Description = "Landmarks of a head, such as 16k or 1.6M; several numbers are measured one after another.",
        DefaultValueFactory = _ => ["16k"],
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly Option<string?> text = new("--text") { Description = "Text file, or a folder of *.txt files, to take keys and queries from.", HelpName = "PATH" };
    private readonly Option<string?> keys = new("--keys")
    {
        Description = "File of keys and queries: used if it is there, else written when they have been read.",
        HelpName = "FILE",
    };
    private readonly Option<int> read = BenchOptions.Number("--read", 16384, "Landmarks to read; more are made of these, with noise.");
    private readonly Option<string[]> indexes = new("--index")
    {
        Description = "Indexes to measure: exact, hierarchical, int8, faiss-flat, faiss-ivf, faiss-hnsw.",
        DefaultValueFactory = _ => ["exact", "hierarchical"],
        AllowMultipleArgumentsPerToken = true,
        HelpName = "NAME",
    };
    private readonly Option<int[]> layers = new("--layers")
    {
        Description = "Layers to measure, which are averaged; all but the first, whose landmarks are all equal, when not given.",
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly Option<double> effort = new("--index-effort")
    {
        Description = "How hard they look, above 0.",
        DefaultValueFactory = _ => 1,
        HelpName = "X",
    };
    private readonly ModelOptions model = new(ownIndex: true);

    public BenchIndexCommand()
        : base(
            "index", "Measures indexes over landmark keys by a model's own keys and queries.",
            "bench index --text book.txt --read 4096 --landmarks 4k", "bench index --text books --keys keys.safetensors --landmarks 16k 160k 1.6M",
            "bench index --keys keys.safetensors --index hierarchical --index-effort 2")
    {
        foreach (var option in (IEnumerable<Option>)[landmarks, text, keys, read, indexes, effort, layers]) Options.Add(option);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        int[] counts = [.. parsed.GetValue(landmarks)!.Select(Count)];
        LandmarkIndex[] kinds = [.. parsed.GetValue(indexes)!.Select(IndexOptions.Named)];
        if (parsed.GetValue(read) is < 1 and var few) throw new LandmarkException($"{few} landmarks cannot be read; --read must be at least 1.");
        var path = parsed.GetValue(keys) is { } file ? OutputFile.Checked(file) : null;
        using var engine = model.Load(parsed);
        if (engine.Retrieval is not { } retrieval)
            throw new LandmarkException($"{model.Folder(parsed)} is a model without landmarks, so there is nothing to find; give another.");
        var looking = retrieval with { Index = LandmarkIndex.Hierarchical, IndexEffort = parsed.GetValue(effort) };
        looking.Checked();                              // what no index serves, none is measured with
        using var held = path is not null && File.Exists(path) ? LandmarkKeys.Load(path, engine) : Read();
        int[] measured = parsed.GetValue(layers) is { Length: > 0 } asked ? asked : [.. Enumerable.Range(1, Math.Max(0, held.Layers - 1))];
        foreach (var layer in measured)
            if (layer < 0 || layer >= held.Layers)
                throw new LandmarkException($"There is no layer {layer}; the model has 0 to {held.Layers - 1}.");
        var benchmark = new IndexBenchmark(engine.Decoder.Rotary, engine.Config.Landmark!.BlockLength, looking);
        List<IndexTiming> results = [];
        foreach (var count in counts)
        {
            List<IndexTiming> all = [];
            foreach (var layer in measured)
            {
                using var grown = held.Grown(layer, count, retrieval.WindowBlocks);
                all.AddRange(benchmark.Measure(grown, held.Queries(layer), kinds, cancel));
            }
            foreach (var index in all.GroupBy(t => t.Index))
                results.Add(new IndexTiming(
                    index.Key, count, index.Average(t => t.BuildSeconds), (long)index.Average(t => t.Bytes), index.Average(t => t.TokenSeconds),
                    index.Average(t => t.PassSeconds), index.Average(t => t.Recall)));
        }
        output.Table(["landmarks", "index", "build s", "bytes each", "us a token", "in a pass", "recall"],
            results.Select(r => new[]
            {
                $"{r.Landmarks:N0}", $"{r.Index}", $"{r.BuildSeconds:F2}", $"{BytesEach(r):F0}", $"{r.TokenSeconds * 1e6:N1}",
                $"{r.PassSeconds * 1e6:N1}", $"{r.Recall:P1}",
            }));
        output.Event(new
        {
            layers = measured,
            retrieval.TopK,
            effort = looking.IndexEffort,
            read = held.Count,
            results = results.Select(r => new
            {
                r.Landmarks,
                index = $"{r.Index}",
                build_seconds = r.BuildSeconds,
                bytes_each = BytesEach(r),
                token_microseconds = r.TokenSeconds * 1e6,
                pass_microseconds = r.PassSeconds * 1e6,
                r.Recall,
            }),
        });
        return Tool.Success;

        double BytesEach(IndexTiming timing) => (double)timing.Bytes / timing.Landmarks / engine.Config.KeyValueHeads;

        LandmarkKeys Read()
        {
            var files = TextInput.Files(parsed.GetValue(text)
                ?? throw new LandmarkException("There are no keys to measure with; give texts by --text, or by --keys a file of keys that were read."));
            var goal = parsed.GetValue(read);
            var result = output.Progress(
                "Reading", goal, progress => LandmarkKeys.Read(engine, files.Select(f => TextFile.Open(f)), goal, progress, cancel));
            if (path is not null) result.Save(path);
            return result;
        }
    }

    /// <summary>A number with k or M for thousands or millions.</summary>
    private static int Count(string text)
    {
        var factor = text.Length == 0 ? 1 : text[^1] switch { 'k' => 1000, 'M' => 1_000_000, _ => 1 };
        if (!double.TryParse(factor == 1 ? text : text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            || number * factor is not (>= 1 and <= int.MaxValue))
            throw new LandmarkException($"'{text}' is no number of landmarks; give one such as 16384, 16k or 1.6M.");
        return (int)(number * factor);
    }
}
