using LandmarkSharp.Evaluation;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class VerificationTests(ITestOutputHelper output)
{
    public static TheoryData<string> Files => Golden.AttentionFiles;

    [Theory]
    [MemberData(nameof(Files))]
    public void AttentionFilesPass(string file) =>
        Passes(Verification.Run(Golden.Path("attention", file)), "weights", "out", "grad_q", "grad_k", "grad_v");

    [Theory]
    [InlineData("hf_llama")]
    [InlineData("hf_qwen3")]
    public void PlainModelsPass(string folder) => Passes(Verification.Run(Golden.Path(folder)), "logits", "generated");

    [Fact]
    public void LandmarkModelPassesInBothModes() => Passes(
        Verification.Run(Golden.Path("landmark_llama")), "train_logits",
        "per_token_and_head.logits", "per_token_and_head.generated", "per_token_and_head.decode_logits",
        "max_over_tokens.logits", "max_over_tokens.generated", "max_over_tokens.decode_logits");

    [Theory]
    [InlineData("hf_llama", "model.layers.1.mlp.up_proj.weight", "logits", "generated")]
    [InlineData("hf_qwen3", "model.layers.0.self_attn.k_norm.weight", "logits")]
    [InlineData("landmark_llama", "model.layers.2.self_attn.q_proj.weight",
        "train_logits", "per_token_and_head.logits", "max_over_tokens.decode_logits")]
    public void AModelOfWhichOneTensorChangedFails(string golden, string name, params string[] failing)
    {
        using var folder = Copy(golden);
        Rewrite(folder["model.safetensors"], tensors => tensors[name].flatten()[3] = 3f);
        var result = Verification.Run(folder.Path);
        Assert.False(result.Pass);
        foreach (var check in failing)
            Assert.False(result.Checks.Single(c => c.Name == check).Pass, check);
    }

    [Theory]
    [InlineData("hf_llama", "generated", 1)]
    [InlineData("landmark_llama", "per_token_and_head.generated", 1)]
    public void OneWrongTokenIsCountedAndTheRestStillCompared(string golden, string name, int wrong)
    {
        using var folder = Copy(golden);
        // The last token: what follows it is then the same.
        Rewrite(folder["expected.safetensors"], tensors => tensors[name][0, -1] = (tensors[name][0, -1] + 1) % 200);
        var result = Verification.Run(folder.Path);
        Assert.Equal(wrong, result.Checks.Single(c => c.Name == name).MaxError);
        Assert.False(result.Pass);
        Assert.Equal(1, result.Checks.Count(c => !c.Pass));
    }

    [Fact]
    public void ContinuationMayStandAlone()
    {
        using var folder = Copy("hf_llama");
        Rewrite(folder["expected.safetensors"], tensors => tensors["generated"] = tensors["generated"][.., 50..].contiguous());
        Passes(Verification.Run(folder.Path), "logits", "generated");
    }

    [Fact]
    public void AContinuationMayBeginAsItsTextDoes()
    {
        using var folder = Copy("hf_llama");
        using var decoder = Checkpoint.Load(folder.Path, CPU);
        var file = Read(folder["expected.safetensors"]);
        long[] text = [.. file["tokens"][0].data<long>()];
        // A first token that is also what the first 50 lead to, and then what else they lead to.
        for (var tries = 0; Greedy(decoder, text[..50], 1)[0] is var next && next != text[0]; text[0] = next) Assert.True(tries++ < 50);
        foreach (var name in file.Keys.Except(["tokens", "generated"]).ToArray()) file.Remove(name);
        (file["tokens"], file["generated"]) = (tensor(text).unsqueeze(0), tensor(Greedy(decoder, text[..50], 6)).unsqueeze(0));
        Assert.Equal(text[0], file["generated"][0, 0].item<long>());
        SafeTensors.Write(folder["expected.safetensors"], file.Select(t => (t.Key, t.Value)));
        Passes(Verification.Run(folder.Path), "generated");
    }

    private static long[] Greedy(Decoder decoder, long[] text, int count)
    {
        using var quiet = inference_mode();
        for (var end = text.Length + count; text.Length < end;)
        {
            using var scope = NewDisposeScope();
            using var memory = new PlainMemory(decoder.Config.Layers, decoder.Rotary, null);
            memory.Begin(text.Length);
            text = [.. text, decoder.Logits(decoder.Forward(tensor(text).unsqueeze(0), memory))[0, -1].argmax().item<long>()];
        }
        return text[^count..];
    }

    [Fact]
    public void MissingEntriesAreSkippedAndUnusedOnesNamed()
    {
        using var folder = Copy("landmark_llama");
        Rewrite(folder["expected.safetensors"], tensors =>
        {
            foreach (var name in (string[])["train_input", "max_over_tokens.logits", "max_over_tokens.decode_logits",
                "per_token_and_head.generated", "input"])
                tensors.Remove(name);
            tensors["note"] = ones(1);
        });
        var result = Verification.Run(folder.Path);
        Passes(result, "per_token_and_head.logits", "max_over_tokens.generated");
        Assert.Equal(["note", "per_token_and_head.decode_logits", "train_logits"], result.Skipped);
    }

    [Fact]
    public void ALandmarkModelIsComparedAsAPlainOneToo()
    {
        // What transformers, which knows no landmarks, makes of such a checkpoint.
        using var folder = Copy("hf_llama");
        var config = File.ReadAllText(folder["config.json"]);
        File.WriteAllText(folder["config.json"], config.TrimEnd().TrimEnd('}') + """, "mem_id": 511, "mem_freq": 7 }""");
        Passes(Verification.Run(folder.Path), "logits", "generated");
    }

    [Fact]
    public void OfAModelWithAContextMissTokenWhatIsPlainIsCompared()
    {
        using var folder = Copy("hf_llama");
        var config = File.ReadAllText(folder["config.json"]);
        File.WriteAllText(folder["config.json"], config.TrimEnd().TrimEnd('}') + """, "mem_id": 510, "mem_freq": 7, "context_miss_id": 511 }""");
        Rewrite(folder["expected.safetensors"], tensors =>
            (tensors["train_input"], tensors["train_logits"]) = (tensors["tokens"].clone(), tensors["logits"].clone()));
        var result = Verification.Run(folder.Path);
        Passes(result, "logits", "generated");
        Assert.Equal(["train_input", "train_logits"], result.Skipped);

        Rewrite(folder["expected.safetensors"], tensors => { tensors.Remove("logits"); tensors.Remove("generated"); });
        Assert.Contains(
            "nothing that can be compared with a model that has a context-miss token",
            Assert.Throws<LandmarkException>(() => Verification.Run(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ExpectedFileStandsForItsFolder() =>
        Passes(Verification.Run(Golden.Path("hf_llama", "expected.safetensors")), "logits", "generated");

    [Theory]
    [InlineData("named_wrongly_block16.safetensors")]
    [InlineData("not_named_at_all.safetensors")]
    public void BlocksAreSeenInTheWeights(string name)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Golden.Path("attention", "b1_h2_q16_kv16_d8_block4.safetensors"), folder[name]);
        Passes(Verification.Run(folder[name]), "weights", "out", "grad_q", "grad_k", "grad_v");
    }

    [Theory]
    [InlineData("case_block4.safetensors", null)]
    [InlineData("case.safetensors", "4")]
    public void WithoutWeightsTheNameOrTheMetadataTells(string name, string? told)
    {
        using var folder = new TemporaryFolder();
        var tensors = Read(Golden.Path("attention", "b1_h2_q16_kv16_d8_block4.safetensors"));
        foreach (var unneeded in (string[])["weights", "grad_q", "grad_v"]) tensors.Remove(unneeded);
        SafeTensors.Write(folder[name], tensors.Select(t => (t.Key, t.Value)),
            told is null ? null : new Dictionary<string, string> { ["block"] = told });
        Passes(Verification.Run(folder[name]), "out", "grad_k");
    }

    [Fact]
    public void AttentionWithoutLandmarksNeedsNoBlock()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(2, 4, 5, 8), randn(2, 2, 9, 8), randn(2, 2, 9, 8));
        var scores = q.matmul(k.repeat_interleave(2, 1).transpose(2, 3)).div(Math.Sqrt(8));
        var weights = softmax(scores.masked_fill(ones(5, 9, dtype: ScalarType.Bool).triu(5), double.NegativeInfinity), -1);
        SafeTensors.Write(folder["plain.safetensors"],
            [("q", q), ("k", k), ("v", v), ("weights", weights), ("out", weights.matmul(v.repeat_interleave(2, 1)))]);
        Passes(Verification.Run(folder["plain.safetensors"]), "weights", "out");
    }

    [Fact]
    public void AWrongNumberInAnAttentionCaseFails()
    {
        using var folder = new TemporaryFolder();
        var path = folder["case_block4.safetensors"];
        foreach (var (name, to) in ((string, float)[])[("out", 0.5f), ("weights", float.NaN), ("grad_k", float.PositiveInfinity)])
        {
            var tensors = Read(Golden.Path("attention", "b1_h2_q16_kv16_d8_block4.safetensors"));
            tensors[name].flatten()[3] = to; // in weights, a landmark's column
            SafeTensors.Write(path, tensors.Select(t => (t.Key, t.Value)));
            var result = Verification.Run(path);
            Assert.Equal([name], result.Checks.Where(c => !c.Pass).Select(c => c.Name));
            Assert.True(double.IsFinite(result.Checks.Single(c => c.Name == name).MaxError));
        }
    }

    [Fact]
    public void WrongFormsAreOneSentence()
    {
        using var folder = new TemporaryFolder();
        Says("There is no file or folder", folder["nothing"]);
        Says("has no expected.safetensors", folder.Path);
        Says("no attention case", Golden.Path("hf_llama", "model.safetensors"));
        Says("README.md", Golden.Path("README.md"));

        SafeTensors.Write(folder["a.safetensors"],
            [("q", ones(1, 1, 4, 2)), ("k", ones(1, 1, 4, 2)), ("v", ones(1, 1, 4, 2)), ("out", ones(1, 1, 4, 2))]);
        Says("does not say how many positions a block has", folder["a.safetensors"]);
        SafeTensors.Write(folder["a_block4.safetensors"],
            [("q", ones(1, 1, 4, 2)), ("k", ones(1, 1, 4, 2)), ("v", ones(1, 1, 4, 2)), ("out", ones(1, 1, 4, 3))]);
        Says("out has shape [1, 1, 4, 3]; expected [1, 1, 4, 2]", folder["a_block4.safetensors"]);
        SafeTensors.Write(folder["b_block4.safetensors"],
            [("q", ones(4, 2)), ("k", ones(1, 1, 4, 2)), ("v", ones(1, 1, 4, 2)), ("out", ones(1))]);
        Says("q, k and v are [4, 2]", folder["b_block4.safetensors"]);
        SafeTensors.Write(folder["c_block4.safetensors"],
            [("q", ones(1, 1, 4, 2)), ("k", ones(1, 1, 4, 2)), ("v", ones(1, 1, 3, 2)), ("out", ones(1))]);
        Says("values [1, 1, 3, 2]", folder["c_block4.safetensors"]);

        using var model = Copy("landmark_llama");
        Changed("train_logits has shape", t => t["train_logits"] = t["train_logits"][.., 1..].contiguous());
        Changed("the model's vocabulary is 300", t => t["train_input"][0, 0] = 300);
        Changed("token ids are integers", t => t["input"] = ones(1, 5));
        Changed("input is not tokens with", t => t["input"][0, 3] = 5);
        Changed("landmarks of input", t =>
        {
            t["input"][0, 15] = 5;
            t.Remove("tokens");
        });
        Changed("not of a form", t => { foreach (var name in t.Keys.ToArray()) if (name != "tokens") t.Remove(name); });
        File.Delete(model["model.safetensors"]);
        Says("model.safetensors", model.Path);

        void Changed(string sentence, Action<Dictionary<string, Tensor>> change)
        {
            File.Copy(Golden.Path("landmark_llama", "expected.safetensors"), model["expected.safetensors"], overwrite: true);
            Rewrite(model["expected.safetensors"], change);
            Says(sentence, model.Path);
        }

        static void Says(string part, string path)
        {
            var message = Assert.Throws<LandmarkException>(() => Verification.Run(path)).Message;
            Assert.Contains(part, message);
            Assert.DoesNotContain('\n', message);
        }
    }

    private static TemporaryFolder Copy(string golden)
    {
        var folder = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Golden.Path(golden)))
            File.Copy(file, folder[Path.GetFileName(file)]);
        return folder;
    }

    private static Dictionary<string, Tensor> Read(string path)
    {
        using var file = SafeTensorFile.Open(path);
        return file.Names.ToDictionary(n => n, n => file.Get(n).clone());
    }

    private static void Rewrite(string path, Action<Dictionary<string, Tensor>> change)
    {
        var tensors = Read(path);
        change(tensors);
        SafeTensors.Write(path, tensors.Select(t => (t.Key, t.Value)));
    }

    private void Passes(VerificationResult result, params string[] names)
    {
        foreach (var check in result.Checks)
            output.WriteLine($"{check.Name} {check.MaxError:G3} of {check.Tolerance:G3}");
        Assert.Equal(names, result.Checks.Select(c => c.Name));
        Assert.All(result.Checks, c => Assert.True(c.Pass, $"{c.Name} is off by {c.MaxError}"));
    }
}
