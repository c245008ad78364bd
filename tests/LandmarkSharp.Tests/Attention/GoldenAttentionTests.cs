using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The reference attention against the official code's numbers, in the types it runs in.</summary>
public sealed class GoldenAttentionTests
{
    public GoldenAttentionTests() => LibTorch.Load();

    public static TheoryData<string> Files => Golden.AttentionFiles;

    [Theory]
    [MemberData(nameof(Files))]
    public void RegularLayoutInFloat64(string file) => Compare(file, ScalarType.Float64, irregular: false);

    [Theory]
    [MemberData(nameof(Files))]
    public void IrregularLayoutInFloat64(string file) => Compare(file, ScalarType.Float64, irregular: true);

    [Theory]
    [MemberData(nameof(Files))]
    public void RegularLayoutInFloat32(string file) => Compare(file, ScalarType.Float32, irregular: false);

    private static void Compare(string file, ScalarType type, bool irregular)
    {
        using var scope = NewDisposeScope();
        using var golden = SafeTensorFile.Open(Golden.Path("attention", file));
        var block = int.Parse(Path.GetFileNameWithoutExtension(file).Split("block")[1]);
        var (q, k, v) = (Leaf("q"), Leaf("k"), Leaf("v"));
        var (keys, queries) = ((int)k.shape[2], (int)q.shape[2]);
        using var layout = irregular
            ? BlockLayout.Irregular(RowByRow.Bools(RowByRow.Regular(keys, block, block)), queries)
            : BlockLayout.Regular(keys, queries, block, block);
        var output = LandmarkAttention.Attend(q, k, v, layout);
        using (no_grad())
            RowByRow.Close(golden.Get("weights"), layout.Restore(LandmarkAttention.Weights(q, k, layout)), 5e-6);
        RowByRow.Close(golden.Get("out"), output, 1e-5);
        (output * golden.Get("grad_out").to(type)).sum().backward();
        RowByRow.Close(golden.Get("grad_q"), q.grad!, 5e-5);
        RowByRow.Close(golden.Get("grad_k"), k.grad!, 5e-5);
        RowByRow.Close(golden.Get("grad_v"), v.grad!, 5e-5);

        Tensor Leaf(string name) => golden.Get(name).to(type).requires_grad_();
    }
}
