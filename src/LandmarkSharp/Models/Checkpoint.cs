using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>Decoders read from and written to folders in Hugging Face's layout, and made anew.</summary>
public static class Checkpoint
{
    private const long ShardBytes = 5L << 30;

    /// <summary>Reads a model.</summary>
    /// <param name="folder">config.json and safetensors, whole or sharded.</param>
    /// <param name="device">Where the parameters go.</param>
    /// <param name="type">Type of parameters and activations.</param>
    /// <exception cref="LandmarkException">A file, field or tensor is missing, misshapen or not supported.</exception>
    public static Decoder Load(string folder, Device device, ScalarType type = ScalarType.Float32)
    {
        var config = ConfigFile.Load(folder);
        using var weights = Weights.Open(folder);
        var decoder = new Decoder(config, (name, shape) =>
        {
            using var read = weights.Get(name, shape);
            return read.to(type, device, copy: true);
        }, type);
        try
        {
            RequireAllRead(weights, config, folder, "config.json and the weights do not belong together");
        }
        catch
        {
            decoder.Dispose();
            throw;
        }
        return decoder;
    }

    /// <summary>
    /// Makes a model: normal with deviation 0.02, residual projections divided by √(2·layers), norms 1, biases 0. Beside an adapter, which
    /// begins as nothing, weights are frozen.
    /// </summary>
    /// <param name="config">Shapes and constants.</param>
    /// <param name="device">Where the parameters go; they are float32, frozen ones of the activations' type or in fewer bits.</param>
    /// <param name="computeType">Type of the activations.</param>
    /// <param name="seed">Equal seeds give equal models.</param>
    /// <exception cref="LandmarkException">The shapes do not fit together.</exception>
    public static Decoder Create(ModelConfig config, Device device, ScalarType computeType, long seed)
    {
        using var random = new Generator((ulong)seed, CPU);
        return new Decoder(config.Checked("The model"), (name, shape) =>
        {
            using var scope = NewDisposeScope();
            var residual = name.EndsWith("o_proj.weight", StringComparison.Ordinal)
                || name.EndsWith("down_proj.weight", StringComparison.Ordinal) || name.EndsWith("c_proj.weight", StringComparison.Ordinal);
            var made = name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape)
                : shape.Length == 1 ? ones(shape)
                : LoraPair.Beginning(name, shape, random)
                    ?? (randn(shape, generator: random) * (residual ? 0.02 / Math.Sqrt(2.0 * config.Layers) : 0.02));
            if (config.Lora?.Quantizes(name) == true)
                return QuantizedMatrix.Pack(made, config.Lora.BaseBits, device, name).MoveToOuterDisposeScope();
            var frozen = config.Lora is not null && !LoraOptions.IsAdapter(name);
            return made.to(frozen ? computeType : ScalarType.Float32, device).MoveToOuterDisposeScope();
        }, computeType);
    }

    /// <summary>
    /// Writes config.json and the weights; transformers reads the folder as a plain model. Its LayerNorms have biases, so a model
    /// without them is written with zeros, and reads the same.
    /// </summary>
    /// <param name="decoder">The model.</param>
    /// <param name="folder">The folder; made if it is not there.</param>
    /// <param name="type">The type that the parameters are written in.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Save(Decoder decoder, string folder, ScalarType type)
    {
        ConfigFile.Save(decoder.Config, folder);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" };
        SafeTensors.WriteSharded(
            folder, decoder.Parameters.SelectMany(p => Written(p.Key, p.Value)), ShardBytes, metadata);

        IEnumerable<PlannedTensor> Written(string name, Tensor parameter)
        {
            yield return new PlannedTensor(name, type, parameter.shape, () => parameter.detach().to(type));
            if (decoder.Config is { IsGpt: true, NormBias: false } && name.EndsWith("norm.weight", StringComparison.Ordinal))
                yield return new PlannedTensor(
                    name.Replace(".weight", ".bias", StringComparison.Ordinal), type, parameter.shape, () => zeros(parameter.shape, type));
        }
    }

    /// <summary>Throws when a tensor was left unread that the model of <paramref name="config"/> has no other use for.</summary>
    internal static void RequireAllRead(Weights weights, ModelConfig config, string folder, string otherwise)
    {
        var left = weights.Unread().Where(n => !Derived(n, config) && !AddsNothing(n)).ToArray();
        if (left.Length > 0)
            throw new LandmarkException(
                $"{folder} has {left.Length} tensor{(left.Length == 1 ? "" : "s")} that the model does not use "
                + $"({string.Join(", ", left.Take(3))}{(left.Length > 3 ? ", …" : "")}); {otherwise}.");

        bool AddsNothing(string name)
        {
            if (!name.EndsWith("norm.bias", StringComparison.Ordinal)) return false;
            using var bias = weights.Get(name, [config.HiddenSize]);
            using var most = bias.abs().max();
            return most.ToDouble() == 0;
        }
    }

    /// <summary>What old checkpoints carry beside their parameters: rotary tables, and the output matrix where it is the input's.</summary>
    internal static bool Derived(string name, ModelConfig config) =>
        name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TiedEmbeddings && name == "lm_head.weight");
}
