using System.Diagnostics;
using System.Text.Json;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Cli;

/// <summary>What each command writes for programs, which scripts rely on.</summary>
public sealed class JsonShapeTests(ToolModel model) : IClassFixture<ToolModel>
{
    [Fact]
    public async Task PassKeyTellsOfEveryTrial()
    {
        var told = (await Run("passkey", "--tokens", "500", "--trials", "2")).Json;
        Has(told, "tokens", "trials", "correct", "accuracy", "window_only", "prefill_seconds",
            "decode_ms_per_token", "peak_rss_mb", "per_trial");
        Assert.Equal((500, 2), (told.GetProperty("tokens").GetInt32(), told.GetProperty("trials").GetInt32()));
        Assert.Equal(told.GetProperty("correct").GetInt32() / 2.0, told.GetProperty("accuracy").GetDouble());
        Assert.True(told.GetProperty("peak_rss_mb").GetInt64() > 10);
        var trials = told.GetProperty("per_trial").EnumerateArray().ToArray();
        Assert.Equal(2, trials.Length);
        foreach (var trial in trials)
        {
            Has(trial, "trial", "needle_first_token", "needle_last_token", "needle_blocks", "expected", "answer",
                "correct", "prefill_seconds", "decode_ms_per_token", "blocks", "blocks_read");
            // The mark that the tokenizer puts first moves blocks by a token.
            int[] blocks = [.. trial.GetProperty("needle_blocks").EnumerateArray().Select(b => b.GetInt32())];
            Assert.Equal((trial.GetProperty("needle_first_token").GetInt32() + 1) / 15, blocks[0]);
            Assert.Equal((trial.GetProperty("needle_last_token").GetInt32() + 1) / 15, blocks[^1]);
            Assert.InRange(trial.GetProperty("needle_first_token").GetInt32(), 0, trial.GetProperty("needle_last_token").GetInt32());
            Assert.Equal(34, trial.GetProperty("blocks").GetInt32(), tolerance: 4);
        }
    }

    [Fact]
    public async Task TokenShardsTellWhatWasSkipped()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("rows.jsonl", "{\"body\": \"one\"}\n{\"body\": null}\n");
        folder.Write("wrong.parquet", "no table");
        string[] line = ["tokenizer", "shards", "--out", folder["out"], "--source", "rows=" + folder.Path, "--column", "body"];
        var told = (await LandmarkTool.Run([.. line, "--json"])).Json;
        Has(told, "sources", "skipped", "seconds", "tokens_per_second");
        var source = told.GetProperty("sources")[0];
        Has(source, "name", "files", "documents", "tokens", "skipped");
        Assert.Equal((2, 1, 2), (source.GetProperty("files").GetInt32(), source.GetProperty("documents").GetInt32(),
            source.GetProperty("skipped").GetInt32()));
        var skipped = told.GetProperty("skipped");
        Has(skipped[0], "file", "row", "reason");
        Assert.Equal((path, 2), (skipped[0].GetProperty("file").GetString(), skipped[0].GetProperty("row").GetInt32()));
        Has(skipped[1], "file", "reason");
        Assert.Contains("has null for 'body'.\n", (await LandmarkTool.Run(line)).Output, StringComparison.Ordinal);
        (await LandmarkTool.Run([.. line, "--strict"])).Says($"Line 2 of '{path}' has null for 'body'; mend");
    }

    [Fact]
    public async Task MorePositionsThanWereTrainedAreAWarning()
    {
        var run = await LandmarkTool.Run("passkey", "--tokens", "500", "--model", model.Path, "--threads", "1", "--json", "--top-k", "9");
        Assert.Equal(0, run.Code);
        using var told = JsonDocument.Parse(run.Error);
        Assert.Contains("9 blocks and a window of 1 take 176 positions",
            told.RootElement.GetProperty("warning").GetString(), StringComparison.Ordinal);
        Assert.True(ToolRun.Parse(run.Output).TryGetProperty("correct", out _));
        Assert.Equal("", (await Run("passkey", "--tokens", "500", "--top-k", "3", "--window", "4")).Error);
    }

    [Fact]
    public async Task AskStreamsTokensAndEndsWithTheAnswer()
    {
        var lines = (await Run(
            "ask", "Which key?", "--text", model.Text, "--max-tokens", "6", "--passages", "2", "--stop", "\u0001")).Lines;
        Assert.All(lines[..^1], l => Assert.Equal("token", l.GetProperty("event").GetString()));
        var answer = lines[^1];
        Has(answer, "event", "answer", "tokens", "top_k", "prefill_seconds", "first_token_seconds", "decode_ms_per_token", "window_mass", "peak_rss_mb", "passages");
        Assert.Equal("answer", answer.GetProperty("event").GetString());
        Assert.Equal(new FileInfo(model.Text).Length, answer.GetProperty("tokens").GetInt64(), tolerance: 3);
        Assert.Equal(2, answer.GetProperty("passages").GetArrayLength());
        foreach (var passage in answer.GetProperty("passages").EnumerateArray())
            Has(passage, "block", "mass", "first_token", "tokens", "text");
    }

    /// <summary>A pipe gives its text once: whoever looks at it first must not lose it.</summary>
    [Fact]
    public async Task APipeIsReadAsAFileIs()
    {
        using var folder = new TemporaryFolder();
        var pipe = folder["pipe"];
        using (var mkfifo = Process.Start("mkfifo", pipe)) await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        foreach (var command in (string[][])[["perplexity"], ["generate", "--max-tokens", "1"]])
        {
            var writer = Task.Run(() => File.WriteAllText(pipe, File.ReadAllText(model.Text)), TestContext.Current.CancellationToken);
            var piped = (await Run([.. command, "--text", pipe])).Lines[^1];
            await writer;
            var read = (await Run([.. command, "--text", model.Text])).Lines[^1];
            var count = command[0] == "generate" ? "prompt_tokens" : "tokens";
            Assert.Equal(read.GetProperty(count).GetInt64(), piped.GetProperty(count).GetInt64());
        }
    }

    [Fact]
    public async Task GenerateStreamsTokensAndEndsWithTheText()
    {
        var lines = (await Run("generate", "Once", "--max-tokens", "5")).Lines;
        Has(lines[^1], "event", "text", "finish", "prompt_tokens", "generated_tokens", "prefill_seconds", "decode_seconds", "peak_rss_mb");
        Assert.Equal("end", lines[^1].GetProperty("event").GetString());
        Assert.Equal(string.Concat(lines[..^1].Select(l => l.GetProperty("text").GetString())), lines[^1].GetProperty("text").GetString());

        var again = (await Run("generate", "Once", "--max-tokens", "0")).Lines;
        Assert.Equal(0, Assert.Single(again).GetProperty("generated_tokens").GetInt32());
    }

    [Fact]
    public async Task PerplexityTellsOfPositions()
    {
        var told = (await Run("perplexity", "--text", model.Text, "--context", "100", "--contexts", "2")).Json;
        Has(told, "tokens", "loss", "perplexity", "context", "top_k", "window_blocks", "plain", "by_position");
        Assert.Equal(198, told.GetProperty("tokens").GetInt64());
        Assert.Equal(
            Math.Exp(told.GetProperty("loss").GetDouble()), told.GetProperty("perplexity").GetDouble(),
            1e-6 * told.GetProperty("perplexity").GetDouble());
        foreach (var bucket in told.GetProperty("by_position").EnumerateArray()) Has(bucket, "from", "to", "tokens", "loss", "perplexity");
    }

    [Fact]
    public async Task TokenShardsAreScoredAsTheTextsThatTheyWereMadeOf()
    {
        using var folder = new TemporaryFolder();
        string[] shards = ["--shards", folder["shards"]];
        Assert.Equal(0, (await LandmarkTool.Run(
            "tokenizer", "shards", "--tokenizer", model.Path, "--out", shards[1], "--source", "keys=" + model.Text, "--source", "more=" + model.Text)).Code);
        string[] cut = ["--context", "100", "--contexts", "2"];
        var text = (await Run(["perplexity", "--text", model.Text, .. cut])).Json;
        var one = (await Run(["perplexity", .. shards, "--source", "keys", .. cut])).Json;
        Assert.Equal(text.ToString(), one.ToString());
        var both = (await Run(["perplexity", .. shards, .. cut])).Json;
        Assert.Equal(2 * 198, both.GetProperty("tokens").GetInt64());
        (await LandmarkTool.Run(["perplexity", .. shards, "--source", "other", "--model", model.Path])).Says("have no source 'other'; they have keys, more");
    }

    [Fact]
    public async Task BlocksThatAreKeptAreTold()
    {
        string[] keep = ["--keep-blocks", "3"];
        var told = (await Run(["perplexity", "--text", model.Text, .. keep])).Json;
        Assert.Equal(3, told.GetProperty("keep_blocks").GetInt32());
        Assert.NotEqual((await Run("perplexity", "--text", model.Text)).Json.GetProperty("loss").GetDouble(), told.GetProperty("loss").GetDouble());
        Assert.Equal(3, (await Run(["passkey", "--tokens", "500", .. keep])).Json.GetProperty("keep_blocks").GetInt32());
        Assert.Equal(3, (await Run(["ask", "Which?", "--text", model.Text, "--max-tokens", "2", .. keep])).Lines[^1].GetProperty("keep_blocks").GetInt32());
    }

    [Fact]
    public async Task BenchTellsBothTimes()
    {
        var told = (await LandmarkTool.Run(
            "bench", "attention", "--tokens", "40", "90", "--heads", "4", "--kv-heads", "2", "--head-dim", "16", "--block", "8",
            "--repeats", "1", "--backward", "--device", "cpu", "--backend", "Reference", "--json")).Json;
        Has(told, "device", "threads", "heads", "kv_heads", "head_dim", "block", "dtype", "repeats", "timings");
        var timings = told.GetProperty("timings").EnumerateArray().ToArray();
        Assert.Equal([40, 40, 90, 90], timings.Select(t => t.GetProperty("tokens").GetInt32()));
        Assert.Equal(["forward", "backward", "forward", "backward"], timings.Select(t => t.GetProperty("pass").GetString()));
        foreach (var timing in timings)
        {
            Has(timing, "tokens", "backend", "pass", "landmark_ms", "causal_ms", "ratio", "landmark_gflops", "causal_gflops", "peak_gflops");
            Assert.Equal("Reference", timing.GetProperty("backend").GetString());
            Assert.Equal(timing.GetProperty("landmark_ms").GetDouble() / timing.GetProperty("causal_ms").GetDouble(),
                timing.GetProperty("ratio").GetDouble(), 1e-9);
        }
    }

    [Theory]
    [InlineData("--tokens 0", "--tokens must be at least 1")]
    [InlineData("--repeats 0", "it must be at least 1")]
    [InlineData("--heads 4 --kv-heads 3", "key-value heads that divide the heads")]
    [InlineData("--block 1", "a block needs 2 positions or more")]
    public async Task BenchSaysWhatIsWrong(string options, string words)
    {
        var run = await LandmarkTool.Run(["bench", "attention", "--device", "cpu", .. options.Split(' ')]);
        Assert.Equal(1, run.Code);
        Assert.Contains(words, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BenchDecodeTellsOfEachLength()
    {
        string[] small = ["--heads", "4", "--kv-heads", "2", "--head-dim", "16", "--block", "8", "--top-k", "2", "--repeats", "4",
            "--device", "cpu", "--json"];
        var told = (await LandmarkTool.Run(["bench", "decode", "--tokens", "5", "900", .. small])).Json;
        Has(told, "device", "threads", "heads", "kv_heads", "head_dim", "top_k", "block", "dtype", "block_type", "host_blocks", "repeats", "timings");
        var timings = told.GetProperty("timings").EnumerateArray().ToArray();
        Assert.Equal([5, 900], timings.Select(t => t.GetProperty("tokens").GetInt32()));
        foreach (var timing in timings)
        {
            Has(timing, "tokens", "backend", "microseconds", "queueing_microseconds", "gb_per_second",
                "peak_gb_per_second", "percent_of_peak", "blocks_read", "dense_microseconds", "dense_gb_per_second");
            Assert.Equal("CPU", timing.GetProperty("backend").GetString());
            Assert.True(timing.GetProperty("microseconds").GetDouble() > 0);
        }
        var alone = (await LandmarkTool.Run(["bench", "decode", "--tokens", "100", "--no-dense", "--dtype", "bfloat16", .. small])).Json;
        var only = Assert.Single(alone.GetProperty("timings").EnumerateArray());
        Assert.Equal("Reference", only.GetProperty("backend").GetString());
        Assert.False(only.TryGetProperty("dense_microseconds", out _));
        Assert.Equal(2, only.GetProperty("blocks_read").GetDouble());
        var ending = (await LandmarkTool.Run(
            "bench", "decode", "--tokens", "900", "--no-dense", "--mass", "0.5", "--heads", "4", "--kv-heads", "4", "--head-dim", "16", "--block", "8",
            "--top-k", "8", "--repeats", "4", "--device", "cpu", "--json")).Json;
        Assert.Equal(0.5, ending.GetProperty("mass").GetDouble());
        Assert.InRange(ending.GetProperty("timings")[0].GetProperty("blocks_read").GetDouble(), 1, 7.9);
    }

    [Theory]
    [InlineData("--tokens 0", "--tokens must be at least 1")]
    [InlineData("--repeats 0", "it must be at least 1")]
    [InlineData("--heads 4 --kv-heads 3", "key-value heads that divide the heads")]
    [InlineData("--block 1", "a block needs 2 positions or more")]
    [InlineData("--top-k 0", "it must be at least 1")]
    public async Task BenchDecodeSaysWhatIsWrong(string options, string words)
    {
        var run = await LandmarkTool.Run(["bench", "decode", "--device", "cpu", .. options.Split(' ')]);
        Assert.Equal(1, run.Code);
        Assert.Contains(words, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BenchTrainingTellsOfBothModels()
    {
        using var folder = new TemporaryFolder();
        var recipe = folder["recipe.json"];
        File.WriteAllText(recipe, (TinyRun.Recipe with
        {
            Architecture = Architecture.Gpt,
            Documents = DocumentPacking.Separate,
            ContextMiss = 0.5,
        }).ToJson());
        string[] small = ["bench", "training", "--recipe", recipe, "--vocabulary", "90", "--steps", "2", "--device", "cpu", "--json"];
        var told = (await LandmarkTool.Run([.. small, "--rows", "3", "--accumulate", "2"])).Json;
        Has(told, "device", "threads", "parameters", "trained", "rows", "window", "accumulate", "steps", "memory_bytes", "timings");
        Assert.Equal((3, 512, 2), (told.GetProperty("rows").GetInt32(), told.GetProperty("window").GetInt32(), told.GetProperty("accumulate").GetInt32()));
        var timings = told.GetProperty("timings").EnumerateArray().ToArray();
        Assert.Equal(["landmark", "plain"], timings.Select(t => t.GetProperty("model").GetString()));
        foreach (var timing in timings)
        {
            Has(timing, "model", "step_ms", "positions_per_second", "tflops_per_second", "forward_ms", "backward_ms", "optimizer_ms");
            Assert.Equal(
                3 * 512 * 2 * 1000 / timing.GetProperty("step_ms").GetDouble(), timing.GetProperty("positions_per_second").GetDouble(),
                1e-6 * timing.GetProperty("positions_per_second").GetDouble());
        }
        var alone = (await LandmarkTool.Run([.. small, "--no-plain"])).Json;
        Assert.Equal("landmark", Assert.Single(alone.GetProperty("timings").EnumerateArray()).GetProperty("model").GetString());

        (await LandmarkTool.Run([.. small, "--base-bits", "4"])).SaysAsJson("the recipe has no lora");
        File.WriteAllText(recipe, (TinyRun.Recipe with { Lora = new LoraOptions { Rank = 2 } }).ToJson());
        foreach (var bits in (int[])[16, 8, 4])
        {
            var adapter = (await LandmarkTool.Run([.. small, "--rows", "2", "--accumulate", "1", "--base-bits", $"{bits}"])).Json;
            Assert.Equal(bits, adapter.GetProperty("base_bits").GetInt32());
            Assert.Equal("landmark", Assert.Single(adapter.GetProperty("timings").EnumerateArray()).GetProperty("model").GetString());
            Assert.InRange(adapter.GetProperty("trained").GetInt64(), 1, adapter.GetProperty("parameters").GetInt64() / 2);
        }
        (await LandmarkTool.Run([.. small, "--base-bits", "5"])).SaysAsJson("give 8 or 4");
        Assert.Contains("--steps and --vocabulary must be at least 1", (await LandmarkTool.Run("bench", "training", "--recipe", recipe, "--steps", "0", "--device", "cpu")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InfoDescribesTheMachine()
    {
        var told = (await LandmarkTool.Run("info", "--json")).Json;
        foreach (var name in (string[])["operating_system", "processor", "processors", "memory_bytes", "available_memory_bytes",
            "instruction_sets", "dot_net", "lib_torch", "threads", "cuda_devices"])
            Assert.True(told.TryGetProperty(name, out _), $"no {name}");
        // One of the two: what compiles the kernels, or why nothing does.
        Assert.True(told.TryGetProperty("kernel_compiler", out _) ^ told.TryGetProperty("kernel_problem", out _));
    }

    [Fact]
    public async Task TokenizerGoesThereAndBack()
    {
        string[] tokenizer = ["--tokenizer", model.Path, "--json"];
        var encoded = (await LandmarkTool.Run(["tokenizer", "encode", "The key, größer.", .. tokenizer])).Json;
        Has(encoded, "count", "ids", "pieces");
        string[] ids = [.. encoded.GetProperty("ids").EnumerateArray().Select(i => i.ToString())];
        Assert.Equal((ids.Length, ids.Length), (encoded.GetProperty("count").GetInt32(), encoded.GetProperty("pieces").GetArrayLength()));
        Assert.Equal("The key, größer.",
            (await LandmarkTool.Run(["tokenizer", "decode", .. ids, .. tokenizer])).Json.GetProperty("text").GetString());
        // A text that comes through a pipe is read in pieces, and is the same.
        Assert.Equal(encoded.ToString(),
            (await LandmarkTool.RunOn("The key, größer.", ["tokenizer", "encode", .. tokenizer])).Json.ToString());
        Has((await LandmarkTool.Run(["tokenizer", "info", .. tokenizer])).Json,
            "kind", "vocabulary_size", "bos", "eos", "adds_bos", "fingerprint");
    }

    private Task<ToolRun> Run(params string[] arguments) => LandmarkTool.Run(
        [.. arguments, "--model", model.Path, "--threads", "1", "--json"]);

    private static void Has(JsonElement told, params string[] names) => Assert.Equal(
        names.Order(), told.EnumerateObject().Select(p => p.Name).Order());
}
