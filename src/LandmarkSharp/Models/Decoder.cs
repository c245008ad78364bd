using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>Gives a parameter by its name in Hugging Face's layout and its shape: read from a checkpoint, or made anew.</summary>
/// <param name="name">Full name, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="shape">Expected shape; a matrix that <see cref="LoraOptions.BaseBits"/> holds in fewer bits comes as rows of bytes.</param>
public delegate Tensor ParameterSource(string name, long[] shape);

/// <summary>
/// The decoder of Llama, Mistral, Qwen 2 and 3, Starcoder 2 and of landmark models: one definition for training and inference, which
/// differ in the <see cref="IAttention"/> they bring. Parameters keep their type; products run in the type of the
/// activations, so float32 master weights train in bfloat16 (see <see cref="Linear"/>).
/// </summary>
public sealed class Decoder : IDisposable
{
    private readonly Dictionary<string, Tensor> parameters = new(StringComparer.Ordinal);
    private readonly Tensor embedding;
    private readonly Layer[] layers;
    private readonly Norm norm;
    private readonly Linear head;
    private readonly LandmarkRow? inputRow, outputRow;      // beside frozen embeddings

    /// <summary>Builds the decoder from a source of parameters.</summary>
    /// <param name="config">Shapes and constants.</param>
    /// <param name="source">Where parameters come from; the decoder owns what it gives.</param>
    /// <param name="computeType">Type of the activations: float32, bfloat16, float16 or float64.</param>
    public Decoder(ModelConfig config, ParameterSource source, ScalarType computeType = ScalarType.Float32)
    {
        (Config, ComputeType) = (config, computeType);
        Rotary = config.Rotary.Create(config.HeadDim);
        Tensor Own(string name, long[] shape)
        {
            var tensor = source(name, shape).DetachFromDisposeScope();
            parameters.Add(name, tensor);
            ParameterCount += shape.Aggregate((a, b) => a * b);
            return tensor;
        }
        try
        {
            embedding = Own("model.embed_tokens.weight", [config.VocabularySize, config.HiddenSize]);
            layers = [.. Enumerable.Range(0, config.Layers)
                .Select(i => new Layer(i, config, (name, shape) => Own($"model.layers.{i}.{name}", shape)))];
            norm = new Norm("model.norm", config.HiddenSize, config, Own);
            head = config.TiedEmbeddings
                ? new Linear(embedding)
                : new Linear("lm_head", config.HiddenSize, config.VocabularySize, false, null, Own);
            if (config.Lora is null) return;
            inputRow = new LandmarkRow("model.embed_tokens", config, Own);
            outputRow = config.TiedEmbeddings ? inputRow : new LandmarkRow("lm_head", config, Own);
        }
        catch
        {
            Dispose();      // what was read before something was missing
            throw;
        }
    }

    /// <summary>Shapes and constants.</summary>
    public ModelConfig Config { get; }

    /// <summary>Type of the activations.</summary>
    public ScalarType ComputeType { get; }

    /// <summary>The rotary embedding that attention contexts share.</summary>
    public Rotary Rotary { get; }

    /// <summary>Where the parameters are.</summary>
    public Device Device => embedding.device;

    /// <summary>Parameters by name, in the order of use.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <summary>How many numbers the parameters are, in however many bits.</summary>
    public long ParameterCount { get; private set; }

    /// <summary>The parameters that training changes: all, or those of the adapter beside frozen ones.</summary>
    public IReadOnlyDictionary<string, Tensor> Trainable => Config.Lora is null
        ? parameters
        : parameters.Where(p => LoraOptions.IsAdapter(p.Key)).ToDictionary(StringComparer.Ordinal);

    /// <summary>The matrix that logits are products with, [V, D].</summary>
    internal Tensor OutputMatrix => head.Weight;

    /// <summary>The landmark's row in place of that matrix's, where this is frozen, [1, D]; else null.</summary>
    internal Tensor? OutputRows => outputRow?.Rows;

    /// <summary>Runs the layers.</summary>
    /// <param name="tokens">[B, T] int64, landmarks included.</param>
    /// <param name="attention">What each layer asks for its attention.</param>
    /// <param name="recompute">In training, whether layers keep their inputs alone and are computed again in the backward pass.</param>
    /// <param name="dropout">In training, what is dropped of all that is added to the residual stream; null for nothing.</param>
    /// <returns>[B, T, D], normed: what <see cref="Logits"/> takes.</returns>
    public Tensor Forward(Tensor tokens, IAttention attention, bool recompute = false, SeededDropout? dropout = null)
    {
        using var scope = NewDisposeScope();
        var x = Aten.Embedding(embedding, tokens).to(ComputeType);
        x = inputRow?.Embed(x, tokens) ?? x;
        x = dropout is { } at ? ResidualDropout.Of(x, at.At(0)) : x;
        foreach (var layer in layers)
            x = recompute ? Recomputed.Apply(y => layer.Forward(y, attention, dropout), x) : layer.Forward(x, attention, dropout);
        return norm.Forward(x).MoveToOuterDisposeScope();
    }

    /// <summary>Scores of the next token.</summary>
    /// <param name="hidden">[..., D].</param>
    /// <returns>[..., vocabulary].</returns>
    public Tensor Logits(Tensor hidden)
    {
        var logits = head.Forward(hidden);
        return outputRow?.Score(logits, hidden) ?? logits;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in parameters.Values)
            tensor.Dispose();
    }
}

/// <summary>One layer: x + attention(norm(x)), then x + feed-forward(norm(x)).</summary>
internal sealed class Layer(int index, ModelConfig c, ParameterSource source)
{
    private readonly Norm attentionNorm = new("input_layernorm", c.HiddenSize, c, source);
    private readonly AttentionLayer attention = new(index, c, source);
    private readonly Norm feedForwardNorm = new("post_attention_layernorm", c.HiddenSize, c, source);
    private readonly IFeedForward feedForward = c.IsGpt ? new GptFeedForward(c, source) : new SwiGlu(c, source);

    public Tensor Forward(Tensor x, IAttention context, SeededDropout? dropout)
    {
        using var scope = NewDisposeScope();
        x = x + Kept(attention.Forward(attentionNorm.Forward(x), context), 1);
        return (x + Kept(feedForward.Forward(feedForwardNorm.Forward(x)), 2)).MoveToOuterDisposeScope();

        Tensor Kept(Tensor added, int part) => dropout is { } at ? ResidualDropout.Of(added, at.At((2 * index) + part)) : added;
    }
}

/// <summary>Projects to queries, keys and values, asks the context, projects back.</summary>
internal sealed class AttentionLayer(int index, ModelConfig c, ParameterSource source)
{
    private readonly Linear query = new("self_attn.q_proj", c.HiddenSize, c.Heads * c.HeadDim, c.QueryKeyValueBias, c.Lora, source);
    private readonly Linear key = new("self_attn.k_proj", c.HiddenSize, c.KeyValueHeads * c.HeadDim, c.QueryKeyValueBias, c.Lora, source);
    private readonly Linear value = new("self_attn.v_proj", c.HiddenSize, c.KeyValueHeads * c.HeadDim, c.QueryKeyValueBias, c.Lora, source);
    private readonly Linear output = new("self_attn.o_proj", c.Heads * c.HeadDim, c.HiddenSize, c.OutputBias, c.Lora, source);
    private readonly Norm? queryNorm = c.QueryKeyNorm ? new("self_attn.q_norm", c.HeadDim, c, source) : null;
    private readonly Norm? keyNorm = c.QueryKeyNorm ? new("self_attn.k_norm", c.HeadDim, c, source) : null;

    public Tensor Forward(Tensor x, IAttention context)
    {
        var q = Heads(query.Forward(x), queryNorm);                                         // [B, H, T, d]
        var k = Heads(key.Forward(x), keyNorm);                                             // [B, G, T, d]
        var v = Heads(value.Forward(x), null);
        return output.Forward(context.Attend(index, q, k, v).transpose(1, 2).flatten(2, 3)); // [B, T, H·d]
    }

    private Tensor Heads(Tensor x, Norm? norm)
    {
        var heads = x.unflatten(2, [-1, c.HeadDim]);
        return (norm?.Forward(heads) ?? heads).transpose(1, 2);
    }
}

/// <summary>What a layer does to each position by itself.</summary>
internal interface IFeedForward
{
    Tensor Forward(Tensor x);
}

/// <summary>down(silu(gate(x)) · up(x)).</summary>
internal sealed class SwiGlu(ModelConfig c, ParameterSource source) : IFeedForward
{
    private readonly Linear gate = new("mlp.gate_proj", c.HiddenSize, c.IntermediateSize, c.FeedForwardBias, c.Lora, source);
    private readonly Linear up = new("mlp.up_proj", c.HiddenSize, c.IntermediateSize, c.FeedForwardBias, c.Lora, source);
    private readonly Linear down = new("mlp.down_proj", c.IntermediateSize, c.HiddenSize, c.FeedForwardBias, c.Lora, source);

    public Tensor Forward(Tensor x) => down.Forward(nn.functional.silu(gate.Forward(x)) * up.Forward(x));
}

/// <summary>project(gelu(expand(x))).</summary>
internal sealed class GptFeedForward(ModelConfig c, ParameterSource source) : IFeedForward
{
    private readonly Linear expand = new("mlp.c_fc", c.HiddenSize, c.IntermediateSize, c.FeedForwardBias, c.Lora, source);
    private readonly Linear project = new("mlp.c_proj", c.IntermediateSize, c.HiddenSize, c.FeedForwardBias, c.Lora, source);
    private readonly GELU.Approximate approximate = c.Activation == Activation.GeluTanh ? GELU.Approximate.tanh : GELU.Approximate.none;

    public Tensor Forward(Tensor x) => project.Forward(nn.functional.gelu(expand.Forward(x), approximate));
}

/// <summary>
/// x·Wᵀ + b in x's type: the weight is cast on the way, which takes the place of autocasting. An adapter adds what it learned.
/// </summary>
internal sealed class Linear(Tensor weight, Tensor? bias = null, LoraPair? adapter = null, int bits = 16)
{
    public Linear(string name, int inputs, int outputs, bool bias, LoraOptions? lora, ParameterSource source)
        : this(
            source($"{name}.weight", [outputs, inputs]),
            bias ? source($"{name}.bias", [outputs]) : null,
            lora?.Adapts(name) == true ? new LoraPair(name, inputs, outputs, lora, source) : null,
            lora?.BaseBits ?? 16)
    { }

    public Tensor Weight => weight;

    public Tensor Forward(Tensor x) => adapter is null ? Whole(x) : Whole(x) + adapter.Forward(x);

    private Tensor Whole(Tensor x)
    {
        if (bits == 16) return Product(x, weight);
        var matrix = new QuantizedMatrix(weight, x.shape[^1], bits);
        if (is_grad_enabled() && x.requires_grad) return QuantizedLinear.Apply(x, matrix, bias);
        using var whole = matrix.Dequantize(x.dtype);
        return Product(x, whole);
    }

    private Tensor Product(Tensor x, Tensor w)
    {
        if (!CpuLinear.Serves(x, w)) return nn.functional.linear(x, w.to(x.dtype), bias?.to(x.dtype));
        var y = CpuLinear.Forward(x, w);
        return bias is null ? y : y.add_(bias);
    }
}

/// <summary>x / √(mean x² + ε) · weight over the last dimension; a LayerNorm takes the mean from x first, and may add a bias.</summary>
internal sealed class Norm(string name, int width, ModelConfig c, ParameterSource source)
{
    private readonly Tensor weight = source($"{name}.weight", [width]);
    private readonly Tensor? bias = c.NormBias ? source($"{name}.bias", [width]) : null;

    public Tensor Forward(Tensor x) => c.IsGpt
        ? nn.functional.layer_norm(x, [width], weight.to(x.dtype), bias?.to(x.dtype), c.NormEpsilon)
        : Aten.RmsNorm(x, weight.to(x.dtype), c.NormEpsilon);
}
