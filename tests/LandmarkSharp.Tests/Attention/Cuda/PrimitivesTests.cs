using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>The instructions that kernels are made of, each against libtorch: layouts of registers and of shared memory above all.</summary>
public sealed class PrimitivesTests : IDisposable
{
    private readonly DisposeScope scope;

    public PrimitivesTests()
    {
        LibTorch.Load();
        scope = NewDisposeScope();
    }

    private static Device Cuda => new(DeviceType.CUDA, 0);

    public void Dispose() => scope.Dispose();

    [Theory]
    [InlineData(ScalarType.BFloat16, "product_bf16", 16)]
    [InlineData(ScalarType.BFloat16, "product_bf16", 6)]
    [InlineData(ScalarType.Float16, "product_f16", 16)]
    [InlineData(ScalarType.Float16, "product_f16", 0)]
    public void AWarpMultiplies(ScalarType type, string name, int bytes)
    {
        Needs.Kernels();
        var (a, b) = (Random(type, 16, 16), Random(type, 16, 16));
        var c = empty([16, 16], ScalarType.Float32, Cuda);
        var arguments = default(KernelArguments);
        arguments.Add(c);
        arguments.Add(a);
        arguments.Add(b);
        arguments.Add(bytes);
        Kernel("warp_primitives.cu", name).Launch(new LaunchShape(new Dim3(1), new Dim3(32)), ref arguments);
        var copied = a.clone();
        if (bytes < 16) copied[15, (8 + (bytes / 2))..] = 0;
        Close(Product(copied, b), c.cpu(), 1e-4);
    }

    [Fact]
    public void FunctionsAreLibtorchs()
    {
        Needs.Kernels();
        var x = randn([32], device: Cuda) * 3;
        var y = empty([8, 32], ScalarType.Float32, Cuda);
        var arguments = default(KernelArguments);
        arguments.Add(y);
        arguments.Add(x);
        Kernel("warp_primitives.cu", "functions").Launch(new LaunchShape(new Dim3(1), new Dim3(32)), ref arguments);
        var (told, given) = (y.cpu(), x.cpu());
        Close(given.sum().expand(32), told[0], 1e-4);
        Close(given.view(8, 4).amax([1], true).expand(8, 4).reshape(32), told[1], 0);
        Close(ones(32), told[2] / given.exp2(), 1e-6);
        Close(given.abs().log2(), told[3], 1e-5);
        Close(given.to(ScalarType.BFloat16).to(ScalarType.Float32) * 2, told[4], 0);
        Close(given.half().to(ScalarType.Float32) * 2, told[5], 0);
        Close(arange(31, -1, -1).to(ScalarType.Float32) * 2, told[6], 0);
        Close(given.to(ScalarType.BFloat16).to(ScalarType.Float32), told[7], 0);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void TheEngineCopiesBoxesAndZeroesWhatIsOutside(int rank)
    {
        Needs.Hopper();
        // Boxes of 8 x 64, 8 x 8 x 8 and 8 x 8 x 4 x 2 numbers, the innermost first, within and across the edges.
        int[] box = rank == 2 ? [8, 64] : rank == 3 ? [8, 8, 8] : [8, 8, 4, 2];
        long[] sizes = [40, 100, 10, 5];
        sizes = sizes[..rank];
        var tensor = Random(ScalarType.BFloat16, [.. sizes.Reverse()]);
        var strides = new long[rank - 1];
        for (var (i, stride) = (0, 2L); i < rank - 1; i++) strides[i] = stride *= sizes[i];
        var map = TensorMap.Create(Aten.DataPointer(tensor), tensor.dtype, sizes, strides, box, Swizzle.None);
        var kernel = Kernel("hopper_primitives.cu", "box", "TYPE=bf16", $"RANK={rank}");
        foreach (var start in (int[][])[[0, 0, 0, 0], [16, 3, 2, 1], [32, 90, 8, 4], [-8, -10, -2, -1]])
        {
            var copied = empty([512], ScalarType.BFloat16, Cuda);
            var arguments = default(KernelArguments);
            arguments.Add(copied);
            arguments.Add(map);
            foreach (var at in start) arguments.Add(at);
            kernel.Launch(new LaunchShape(new Dim3(1), new Dim3(128), 2048), ref arguments);

            var expected = tensor;
            for (var i = 0; i < rank; i++)
            {
                // Padded with zeros on both sides, then cut.
                expected = nn.functional.pad(expected.transpose(rank - 1 - i, rank - 1), [16L, 96L])
                    .narrow(rank - 1, start[i] + 16, box[i]).transpose(rank - 1 - i, rank - 1);
            }

            Close(expected.cpu().reshape(512), copied.cpu(), 0);
        }

        GC.KeepAlive(tensor);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, "bf16")]
    [InlineData(ScalarType.Float16, "f16")]
    public void AWarpgroupMultipliesInEverySize(ScalarType type, string name)
    {
        Needs.Hopper();
        for (var n = 8; n <= 256; n += 8)
        {
            var (a, b) = (Random(type, 64, 64), Random(type, 64, n));
            var byColumns = b.t().contiguous();
            var (d, e) = (zeros([64, n], ScalarType.Float32, Cuda), zeros([64, n], ScalarType.Float32, Cuda));
            var flag = zeros([1], ScalarType.Int32, Cuda);
            TensorMap Map(Tensor tensor, int width, int height) => TensorMap.Create(
                Aten.DataPointer(tensor), type, [tensor.shape[1], tensor.shape[0]], [tensor.shape[1] * 2], [width, height], Swizzle.Bytes128);
            var arguments = default(KernelArguments);
            arguments.Add(d);
            arguments.Add(e);
            arguments.Add(flag);
            arguments.Add(a);
            arguments.Add(Map(a, 64, 64));
            arguments.Add(Map(byColumns, 64, n));
            arguments.Add(Map(b, 64, 64));
            Kernel("hopper_primitives.cu", $"product_{n}", $"TYPE={name}", "RANK=2")
                .Launch(new LaunchShape(new Dim3(1), new Dim3(256), 76 * 1024), ref arguments);
            var expected = Product(a, b);
            Close(expected, d.cpu(), 1e-3);
            Close(expected, e.cpu(), 1e-3);
            Assert.Equal(n, flag.cpu().item<int>());
            GC.KeepAlive(byColumns);
            GC.KeepAlive(b);
        }
    }

    private static Tensor Product(Tensor a, Tensor b) => a.cpu().to(ScalarType.Float64).matmul(b.cpu().to(ScalarType.Float64));

    private static Tensor Random(ScalarType type, params long[] shape) => randn(shape).to(type).to(Cuda);

    private static CudaKernel Kernel(string source, string name, params string[] defines)
    {
        using var stream = typeof(PrimitivesTests).Assembly.GetManifestResourceStream(source)!;
        using var reader = new StreamReader(stream);
        return CudaKernels.Module(new KernelSource(source, reader.ReadToEnd(), defines), 0).Kernel(name);
    }
}
