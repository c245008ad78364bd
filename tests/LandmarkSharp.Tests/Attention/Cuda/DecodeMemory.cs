using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>One sequence's memory and query, at random, in float32 on the CPU but rounded to a type.</summary>
internal sealed class DecodeMemory
{
    public DecodeMemory(DecodePlace place, int groups, int repeat, int headDim, int length, ScalarType type, int seed)
    {
        (Place, Length, Type) = (place, length, type);
        using var random = new Generator((ulong)seed, CPU);
        var count = place.InMemory + ((place.Keys + length - 1) / length);
        Tensor Make(params long[] shape) => randn(shape, generator: random).to(type).to(ScalarType.Float32);
        (Q, Blocks, Landmarks) = (
            Make(groups * repeat, 1, headDim), Make(count, groups, 2, length - 1, headDim), Make(groups, count, headDim));
        Miss = Make(groups, headDim) * 2;
        Rotary = new RotaryScaling(Theta: 1000).Create(headDim);
    }

    public DecodePlace Place { get; }

    public int Length { get; }

    public ScalarType Type { get; }

    public Rotary Rotary { get; }

    public Tensor Q { get; }

    public Tensor Blocks { get; set; }

    public Tensor Landmarks { get; set; }

    /// <summary>[G, d]: keys of a context-miss token, for options that have a cut-off.</summary>
    public Tensor Miss { get; }

    public Retrieved Expected(RetrievalOptions options, bool tied = false)
    {
        using var attention = new RetrievedAttention(Place.InMemory, Place.Keys, 1, Length, Rotary, options, ScalarType.Float64);
        return attention.Attend(
            Q.@double(), Blocks.@double(), Landmarks.@double(), tied, miss: options.MissCutoff is null ? null : Miss.@double());
    }

    public Retrieved Found(RetrievalOptions options, bool tied = false, bool pinned = false, bool? miss = null)
    {
        var cuda = new Device(DeviceType.CUDA, 0);
        Assert.True(CudaRetrieval.Serves(options, Place.Keys, 1, Length, Rotary.HeadDim, Type, cuda));
        using var attention = new CudaRetrieval([Place], Length, Rotary, options, Type, cuda);
        return attention.Attend(
            Q.to(Type).to(cuda), Held(pinned).Blocks, Held(pinned).Landmarks, tied,
            miss ?? options.MissCutoff is not null ? Miss.to(Type).to(cuda) : null);
    }

    public DecodeBlocks Held(bool pinned = false)
    {
        var cuda = new Device(DeviceType.CUDA, 0);
        var blocks = Blocks.to(Type);
        return new DecodeBlocks(pinned ? blocks.pin_memory() : blocks.to(cuda), Landmarks.to(Type).to(cuda));
    }

    /// <summary>
    /// The rule in plain numbers: what each choice gives each block, [choices][m]; landmarks of one kind are one key.
    /// </summary>
    /// <param name="options">k and who shares a choice.</param>
    /// <param name="tied">All old landmarks are the first.</param>
    /// <param name="kind">Each block's kind: a block that has the same key.</param>
    public double[][] Scores(RetrievalOptions options, bool tied, int[] kind)
    {
        using var scope = NewDisposeScope();
        var (heads, groups, m) = ((int)Q.shape[0], (int)Blocks.shape[1], Place.InMemory);
        var (k, position) = (Math.Min(options.TopK, m), Place.Keys - 1);
        var old = m - k;
        var keys = Landmarks.@double().repeat_interleave(heads / groups, 0);                // [H, n, d]
        double[][] Rows(Tensor form, Tensor rows) =>                                        // [H, 1, d] and [H, c, d]
            [.. (form * rows).sum(-1).unbind(0).Select(row => row.contiguous().data<double>().ToArray())];
        Tensor Form(int distance) => Rotary.Rotate(Q.@double(), tensor((long)distance)) / Math.Sqrt(Rotary.HeadDim);
        int[] kinds = tied ? [0] : [.. kind[..old].Distinct()];
        var at = kinds.Select((block, i) => (block, i)).ToDictionary(p => p.block, p => p.i);
        var different = keys.index_select(1, tensor(kinds.Select(i => (long)i).ToArray()));
        var far = old == 0 ? null : Rows(Form(position + ((k + 1) * Length)), different);
        var near = Enumerable.Range(0, k).Select(i => Rows(Form(position + ((k - i) * Length)), keys.narrow(1, old + i, 1))).ToArray();
        var logits = new double[heads][];
        for (var h = 0; h < heads; h++)
        {
            double[] row = [.. Enumerable.Range(0, m).Select(b => b < old ? far![h][tied ? 0 : at[kind[b]]] : near[b - old][h][0])];
            var most = row.Max();
            var sum = most + Math.Log(row.Sum(s => Math.Exp(s - most)));
            logits[h] = [.. row.Select(s => s - sum)];
        }
        var sharing = options.Selection switch
        {
            SelectionMode.PerTokenAndGroup => heads / groups,
            SelectionMode.PerToken => heads,
            _ => 1,
        };
        return [.. logits.Chunk(sharing).Select(c => Enumerable.Range(0, m).Select(b => c.Max(row => row[b])).ToArray())];
    }
}
