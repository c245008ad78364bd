using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>What the families of <see cref="IDenseKernels"/> launch alike.</summary>
internal static class DenseLaunch
{
    private const int RowThreads = 256;

    /// <summary>Macros of the elements and of <c>gates.cuh</c>.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="problem">What is computed.</param>
    public static DenseVariant Variant(Tensor q, DenseProblem problem) => new(
        q.dtype, (int)Aten.Sizes(q)[3], problem.Blocks.Length, problem.Documents is not null, problem.Choices is not null, problem.Dropout is not null);

    /// <summary>As <c>gates.cuh</c> has it.</summary>
    public static DropoutNumbers Dropping(DenseProblem problem) => problem.Dropout is { } dropout
        ? new DropoutNumbers { Seed = (uint)dropout.Seed, Threshold = dropout.Threshold, Kept = dropout.Kept }
        : default;

    /// <summary>[B, H, T, d] as asynchronous copies want it: a head's elements side by side, and rows apart, at multiples of 16 bytes.</summary>
    public static Tensor Copyable(Tensor x)
    {
        var strides = Aten.Strides(x);
        var fits = strides[3] == 1 && Aten.DataPointer(x) % 16 == 0;
        for (var i = 0; i < 3; i++) fits &= strides[i] > 0 && strides[i] % 8 == 0;
        return fits ? x.alias() : x.contiguous();
    }

    /// <summary>rowsum(dO · O), less the gradient of the gate's log-sum: [B, H, T] float32.</summary>
    /// <param name="module">A module with <c>backward_delta.cuh</c>.</param>
    /// <param name="output">[B, H, T, d].</param>
    /// <param name="gradient">[B, H, T, d], the output's.</param>
    /// <param name="logSumGradient">[B, H, T]; null for none.</param>
    public static Tensor Delta(CudaModule module, Tensor output, Tensor gradient, Tensor? logSumGradient)
    {
        var (batch, heads, queries) = ((int)output.shape[0], (int)output.shape[1], (int)output.shape[2]);
        var delta = empty([batch, heads, queries], ScalarType.Float32, output.device);
        var rows = (long)batch * heads * queries;
        using var sums = logSumGradient?.contiguous();
        var arguments = default(KernelArguments);
        foreach (var tensor in (ReadOnlySpan<Tensor?>)[output, gradient, sums, delta]) arguments.Add(tensor);
        ReadOnlySpan<long> o = Aten.Strides(output), g = Aten.Strides(gradient);
        arguments.AddStruct(new RowSizes
        {
            Count = rows,
            OutBatch = o[0],
            OutHead = o[1],
            OutPosition = o[2],
            GradientBatch = g[0],
            GradientHead = g[1],
            GradientPosition = g[2],
            Heads = heads,
            Queries = queries,
        });
        const int Warps = RowThreads / 32;
        module.Kernel("landmark_delta").Launch(new LaunchShape(new Dim3(checked((uint)((rows + Warps - 1) / Warps))), new Dim3(RowThreads)), ref arguments);
        return delta;
    }

    // As the kernels' structures lie: in order, each field at a multiple of its size.
    [StructLayout(LayoutKind.Sequential)]
    internal struct DropoutNumbers
    {
        public uint Seed, Threshold;
        public float Kept;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct RowSizes
    {
        public long Count, OutBatch, OutHead, OutPosition, GradientBatch, GradientHead, GradientPosition;
        public int Heads, Queries;
    }
}

/// <summary>What every kernel of dense attention is compiled for, whatever its tiles.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DenseVariant(ScalarType Type, int HeadDim, int Block, bool Packs, bool Chooses, bool Drops)
{
    /// <summary>Its macros.</summary>
    public string[] Defines =>
    [
        $"ELEMENT={KernelTypes.Name(Type)}", $"HEAD_DIM={HeadDim}", $"BLOCK={Block}",
        .. Packs ? (string[])["PACKED=1"] : [], .. Chooses ? (string[])["CHOICE=1"] : [], .. Drops ? (string[])["DROPOUT=1"] : [],
    ];
}
