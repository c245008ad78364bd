using System.Text.Json;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>
/// The model that a run fine-tunes, of any family that the decoder reads: it gets a landmark, the first token id that its
/// tokenizer does not use, and if the recipe says so a context-miss token, the next one. Where the embedding was padded their rows are
/// there; else they are new. In both embeddings they begin as the mean of the tokens' rows, as in the official training.
/// </summary>
public sealed class BaseModel
{
    /// <summary>Fields of a recipe that a model which is there answers.</summary>
    private static readonly string[] Shapes =
    [
        "architecture", "hidden_size", "intermediate_size", "layers", "heads", "key_value_heads", "head_dim", "rope_theta", "vocabulary_multiple",
    ];

    private readonly string folder;
    private readonly ModelConfig config;
    private readonly Tokenizer tokenizer;

    /// <summary>Reads what a model says of itself; its weights are read by the trainer.</summary>
    /// <param name="folder">config.json, safetensors and a tokenizer.</param>
    /// <exception cref="LandmarkException">The family is not known, a landmark is there already, or a file is missing or damaged.</exception>
    public BaseModel(string folder)
    {
        this.folder = folder;
        config = ConfigFile.Load(folder);
        tokenizer = Tokenizer.Load(folder);
        if (config.Landmark is not null || tokenizer.Find(LandmarkToken.Text) is not null)
            throw new LandmarkException(
                $"The model in {folder} has a landmark already, and gets no second one; fine-tune the model that it was made from.");
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new LandmarkException(
                $"The tokenizer in {folder} has {tokenizer.VocabularySize} tokens and the model {config.VocabularySize}; "
                + "put the model's own tokenizer there.");
    }

    /// <summary>Reads a recipe that says nothing of the model's shapes, and fills them in.</summary>
    /// <exception cref="LandmarkException">It does, or it is no recipe.</exception>
    public TrainingOptions Recipe(string path)
    {
        var options = TrainingOptions.Load(path);
        using var given = JsonDocument.Parse(
            File.ReadAllText(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        if (Shapes.FirstOrDefault(s => given.RootElement.TryGetProperty(s, out _)) is { } shape)
            throw new LandmarkException($"The recipe '{path}' gives {shape}, which the model in {folder} has already; take the field out.");
        if (options.BlockTokens == 0)
            throw new LandmarkException(
                $"The recipe '{path}' has block_tokens 0, which is no landmarks, and fine-tuning gives a model landmarks; give 1 or more.");
        return options with
        {
            Architecture = config.IsGpt ? Architecture.Gpt : Architecture.Llama,
            HiddenSize = config.HiddenSize,
            IntermediateSize = config.IntermediateSize,
            Layers = config.Layers,
            Heads = config.Heads,
            KeyValueHeads = config.KeyValueHeads,
            HeadDim = config.HeadDim,
            RopeTheta = config.Rotary.Theta,
            Lora = options.Lora is { } lora ? lora with { Targets = lora.TargetsIn(config) } : null,
        };
    }

    /// <summary>The model with its landmark. Where layers saw a window alone, landmarks now take that place.</summary>
    public ModelConfig Model(TrainingOptions options) => (config with
    {
        VocabularySize = Math.Max(config.VocabularySize, tokenizer.VocabularySize + options.OwnTokens),
        SlidingWindow = null,
        Recurrence = null,
        TokenizerFingerprint = tokenizer.FingerprintWithLandmark(),
        Landmark = options.Landmark(tokenizer.VocabularySize),
        Lora = options.Lora,
        BaseFingerprint = options.Lora is null ? null : Fingerprint(),
    }).Checked("The recipe");

    private string Fingerprint()
    {
        using var weights = Weights.Open(folder);
        return weights.Fingerprint();
    }

    /// <summary>
    /// Reads the weights as float32, the model's own tokens' rows added; beside an adapter, which begins as nothing, in the activations'
    /// type or in fewer bits: each matrix is quantised as it is read.
    /// </summary>
    /// <param name="model">What <see cref="Model"/> gave.</param>
    /// <param name="device">Where the parameters go.</param>
    /// <param name="computeType">Type of the activations.</param>
    /// <param name="seed">Seed of an adapter.</param>
    /// <exception cref="LandmarkException">A tensor is missing, misshapen or not supported.</exception>
    public Decoder Load(ModelConfig model, Device device, ScalarType computeType, long seed)
    {
        var frozen = model.Lora is null ? ScalarType.Float32 : computeType;
        using var random = new Generator((ulong)seed, CPU);
        using var weights = Weights.Open(folder);
        var decoder = new Decoder(model, (name, shape) =>
        {
            using var scope = NewDisposeScope();
            if (model.Lora?.Quantizes(name) == true)
                return QuantizedMatrix.Pack(Read(name, shape), model.Lora.BaseBits, device, name).MoveToOuterDisposeScope();
            var type = LoraOptions.IsAdapter(name) ? ScalarType.Float32 : frozen;
            return Read(name, shape).to(type, device, copy: true).MoveToOuterDisposeScope();
        }, computeType);
        try
        {
            Checkpoint.RequireAllRead(weights, config, folder, "config.json and the weights do not belong together");
        }
        catch
        {
            decoder.Dispose();
            throw;
        }
        return decoder;

        Tensor Read(string name, long[] shape)
        {
            if (name.EndsWith(LandmarkRow.Suffix, StringComparison.Ordinal))
                return Mean(Rows(name.Replace(LandmarkRow.Suffix, ".weight", StringComparison.Ordinal)));
            if (LoraPair.Beginning(name, shape, random) is { } beginning) return beginning;
            if (!LandmarkRow.Embeddings.Contains(name)) return weights.Get(name, shape);
            var rows = Rows(name);
            return LandmarkRow.Put(rows, model.Landmark!.OwnTokens, Mean(rows));
        }

        Tensor Rows(string name) => weights.Get(name, [config.VocabularySize, config.HiddenSize]).to(ScalarType.Float32);

        Tensor Mean(Tensor rows) => rows[..model.Landmark!.Id].mean([0], keepdim: true).repeat(model.Landmark.OwnTokens.Count, 1);
    }

    /// <summary>
    /// Writes the tuned model, bfloat16: transformers reads the folder as the base's family, with its tokenizer that knows the landmark.
    /// Of an adapter, writes that in PEFT's layout.
    /// </summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(Decoder decoder, string output)
    {
        if (decoder.Config.Lora is null) Checkpoint.Save(decoder, output, ScalarType.BFloat16);
        else LoraFolder.Save(decoder, folder, output);
        ModelFiles.CopyBeside(folder, output);
        LandmarkToken.AddTo(output, decoder.Config.Landmark!.Id);
        ConfigFile.SaveOver(folder, decoder.Config, output);
    }
}
