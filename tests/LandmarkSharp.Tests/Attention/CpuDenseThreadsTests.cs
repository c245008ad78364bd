using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The fused kernels on other numbers of threads: those are the whole process's, so no other tests run meanwhile.</summary>
[Collection(AloneCollection.Name)]
public sealed class CpuDenseThreadsTests
{
    public CpuDenseThreadsTests() => LibTorch.Load();

    [Fact]
    public void EveryRunAndAnyNumberOfThreadsGiveTheSameBits()
    {
        using var scope = NewDisposeScope();
        var shape = new CpuDenseTests.Shape(2, 4, 2, 700, 1400, 24, 51, 20, 6);
        var before = get_num_threads();
        var first = shape.Run(CpuDense.Widest, ScalarType.Float32);
        try
        {
            foreach (var threads in (int[])[before, 1, 3])
            {
                set_num_threads(threads);
                foreach (var (expected, actual) in first.Zip(shape.Run(CpuDense.Widest, ScalarType.Float32))) Close(expected, actual, 0);
            }
        }
        finally
        {
            set_num_threads(before);
        }
    }
}
