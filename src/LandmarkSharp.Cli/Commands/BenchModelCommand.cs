using System.CommandLine;
using LandmarkSharp.Evaluation;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench model</c>: what a new token costs a whole model.</summary>
internal sealed class BenchModelCommand : LandmarkCommand
{
    private static readonly ModelCase Usual = new() { Attention = new(32, 8, 128, 16, 64, torch.ScalarType.BFloat16) };

    private readonly Option<int> tokens = BenchOptions.Number("--tokens", 131072, "Positions that are held before the first token, landmarks counted.");
    private readonly Option<int> layers = BenchOptions.Number("--layers", Usual.Layers, "Layers.");
    private readonly Option<int> hidden = BenchOptions.Number("--hidden", Usual.HiddenSize, "Width of the residual stream.");
    private readonly Option<int> intermediate = BenchOptions.Number("--intermediate", Usual.IntermediateSize, "Width of the feed-forward layer.");
    private readonly Option<int> vocabulary = BenchOptions.Number("--vocabulary", Usual.Vocabulary, "Rows of the embedding.");
    private readonly DecodeCaseOptions attention = new("bfloat16");
    private readonly Option<string?> blockType = new("--block-type")
    {
        Description = "Type of past keys and values: float32, bfloat16 or int8; as --dtype when not given.",
        HelpName = "TYPE",
    };
    private readonly Option<bool> hostBlocks = new("--host-blocks") { Description = "Keys and values lie in this machine's memory, pinned, and a card reads them over the bus." };
    private readonly Option<int> steps = BenchOptions.Number("--steps", 64, "Tokens that are measured.");
    private readonly DeviceOptions device = new();

    public BenchModelCommand()
        : base(
            "model", "Measures whole tokens of a model with random weights after a memory of random keys and values; Llama 3.1 8B's shape unless told otherwise.",
            "bench model --host-blocks --device cuda", "bench model --tokens 32768 --top-k 4 --device cuda --json",
            "bench model --layers 10 --hidden 256 --intermediate 704 --vocabulary 4096 --heads 4 --kv-heads 4 --head-dim 64 --dtype float32")
    {
        foreach (var option in (IEnumerable<Option>)[tokens, layers, hidden, intermediate, vocabulary]) Options.Add(option);
        attention.AddTo(this);
        foreach (var option in (IEnumerable<Option>)[blockType, hostBlocks, steps]) Options.Add(option);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (count, length) = (parsed.GetValue(steps), parsed.GetValue(tokens));
        if (count < 1) throw new LandmarkException($"There are {count} tokens to measure; --steps must be at least 1.");
        BenchOptions.Check(1, [length]);
        var on = device.Device(parsed);
        var shape = new ModelCase
        {
            Layers = parsed.GetValue(layers),
            HiddenSize = parsed.GetValue(hidden),
            IntermediateSize = parsed.GetValue(intermediate),
            Vocabulary = parsed.GetValue(vocabulary),
            Attention = attention.Read(parsed, ModelOptions.BlockType(parsed.GetValue(blockType))) with { HostBlocks = parsed.GetValue(hostBlocks) },
        };
        var timing = new ModelBenchmark(on).Run(shape, length, count, cancel);
        output.Line($"{timing.Parameters / 1e6:N0} M parameters after {timing.Tokens:N0} tokens, on {on}");
        output.Table(["ms a token", "of it attention", "its share", "cache on card", "on host"],
        [
            [
                $"{timing.Seconds * 1e3:N2}", $"{timing.AttentionSeconds * 1e3:N2}", $"{timing.AttentionSeconds / timing.Seconds:P0}",
                Gigabytes(timing.CardCacheBytes), Gigabytes(timing.HostCacheBytes),
            ],
        ]);
        if (timing.CardBytes is { } taken) output.Line($"Memory of the card in all: {Gigabytes(taken)}.");
        output.Event(new
        {
            device = on.ToString(),
            threads = torch.get_num_threads(),
            timing.Parameters,
            timing.Tokens,
            shape.Layers,
            shape.Attention.TopK,
            shape.Attention.Block,
            dtype = attention.Type(parsed),
            block_type = parsed.GetValue(blockType) ?? attention.Type(parsed),
            host_blocks = shape.Attention.HostBlocks,
            steps = count,
            token_ms = timing.Seconds * 1e3,
            attention_ms = timing.AttentionSeconds * 1e3,
            card_cache_bytes = timing.CardCacheBytes,
            host_cache_bytes = timing.HostCacheBytes,
            card_bytes = timing.CardBytes,
        });
        return Tool.Success;
    }

    private static string Gigabytes(long bytes) => $"{bytes / 1e9:N2} GB";
}
