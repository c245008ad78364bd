using System.Diagnostics;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

public sealed class LibTorchTests
{
    [Fact]
    public void LoadingTellsVersionAndPlaceAndIsCheapTheSecondTime()
    {
        LibTorch.Load();
        Assert.Matches(@"^2\.1[0-2]\.\d+$", LibTorch.Version);
        Assert.True(File.Exists(Path.Combine(LibTorch.Location, "libtorch_cpu.so")));
        LibTorch.Load(LibTorch.Location);
        LibTorch.Load(LibTorch.Location + "/");

        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 100_000; i++)
            LibTorch.Load();
        Assert.InRange(clock.ElapsedMilliseconds, 0, 500);
    }

    [Fact]
    public void AnotherFolderIsRefusedOnceLoaded()
    {
        using var folder = new TemporaryFolder();
        LibTorch.Load();
        var e = Assert.Throws<LandmarkException>(() => LibTorch.Load(folder.Path));
        Assert.Contains($"from {LibTorch.Location} already, so {folder.Path}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALinkToTheLoadedFolderIsTheSameFolder()
    {
        using var folder = new TemporaryFolder();
        LibTorch.Load();
        Directory.CreateSymbolicLink(folder["lib"], LibTorch.Location);
        LibTorch.Load(folder["lib"]);
        LibTorch.Load(folder.Path);
    }

    [Fact]
    public void NoFolderThatDotNetSearchesHoldsLibTorch()
    {
        // TorchSharp would load that copy beside the one of a PyTorch, and the process would end.
        Assert.NotEmpty(LibTorchFolders.OfProgram());
        Assert.DoesNotContain(LibTorchFolders.OfProgram(), LibTorchFolders.HasLibTorch);
        Assert.EndsWith("/libtorch", LibTorchFolders.BesideProgram(), StringComparison.Ordinal);
    }

    [Fact]
    public void DevicesAreFoundByName()
    {
        Assert.Equal(DeviceType.CPU, LibTorch.Device("cpu").type);
        Assert.Equal(LibTorch.CudaAvailable ? DeviceType.CUDA : DeviceType.CPU, LibTorch.Device("auto").type);
        foreach (var name in new[] { "gpu", "", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda: 1", "mps" })
        {
            var e = Assert.Throws<LandmarkException>(() => LibTorch.Device(name));
            Assert.Equal($"There is no device called '{name}'; use auto, cpu, cuda or cuda:N.", e.Message);
        }
    }

    [Fact]
    public void ADeviceThatIsNotThereIsExplained()
    {
        if (LibTorch.CudaAvailable)
        {
            var many = Assert.Throws<LandmarkException>(() => LibTorch.Device("cuda:99"));
            Assert.Contains("cuda:0", many.Message, StringComparison.Ordinal);
            Assert.Null(LibTorch.CudaUnavailableReason);
            return;
        }

        var e = Assert.Throws<LandmarkException>(() => LibTorch.Device("cuda:1"));
        Assert.Equal($"The device 'cuda:1' is not there: {LibTorch.CudaUnavailableReason}.", e.Message);
        if (!File.Exists(Path.Combine(LibTorch.Location, "libtorch_cuda.so")))
        {
            Assert.Contains($"in {LibTorch.Location} is the CPU build", e.Message, StringComparison.Ordinal);
            Assert.Contains("LANDMARK_LIBTORCH", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void OperatorsRunOnCudaWhereThereIsOne()
    {
        Assert.SkipUnless(LibTorch.CudaAvailable, $"No CUDA: {LibTorch.CudaUnavailableReason}.");
        using var scope = NewDisposeScope();
        var device = LibTorch.Device("cuda");
        var x = randn(4, 64, device: device);
        var weight = randn(64, device: device);
        AtenTests.Close(Aten.RmsNorm(x.cpu(), weight.cpu(), 1e-6), Aten.RmsNorm(x, weight, 1e-6).cpu(), 1e-5);

        Tensor[] Make() => [ones(3, device: device), ones(2, 2, device: device)];
        var parameters = Make();
        var step = zeros([], device: device);
        Aten.FusedAdamW(parameters, Make(), Make(), Make(), [step, step], 1e-2, 0.9, 0.95, 0.1, 1e-8);
        Assert.Equal(1f, step.cpu().item<float>());
        Assert.NotEqual(1f, parameters[0][0].cpu().item<float>());
        Assert.Equal(Math.Sqrt(7), Aten.ClipGradientNorm(Make(), 1).cpu().item<float>(), 1e-4);
    }

    [Fact]
    public void ThreadsAreAtLeastOne()
    {
        var e = Assert.Throws<LandmarkException>(() => LibTorch.SetThreads(0));
        Assert.Equal("The number of threads is 0; it must be at least 1 and at most 1024.", e.Message);
        LibTorch.Load();
        LibTorch.SetThreads(get_num_threads());
    }
}
