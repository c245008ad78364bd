using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using LandmarkSharp.Tests.Tensors.Cuda;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Distributed;

/// <summary>A group of one GPU, by NCCL: its operations change nothing, and training in it is training alone.</summary>
public sealed class NcclTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void OneGpuTrainsInAGroupAsAlone()
    {
        Needs.Kernels();
        using var group = Group();
        Train("alone", null);
        Train("group", group);
        group.Leave();
        foreach (var (a, b) in tiny.Metrics("alone").Zip(tiny.Metrics("group"), (a, b) => (Loss(a), Loss(b)))) Assert.Equal(a, b, 1e-4);
        Assert.Equal(tiny.Metrics("alone").Length, tiny.Metrics("group").Length);
    }

    [Fact]
    public void OperationsOfOneChangeNothing()
    {
        Needs.Kernels();
        using var group = Group();
        using var scope = NewDisposeScope();
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
        {
            var values = arange(1000, type, CUDA);
            var (kept, share, whole) = (values.clone(), empty_like(values), empty_like(values));
            group.Sum(values);
            group.Broadcast(values);
            group.SumShares(values, share);
            group.Gather(share, whole);
            Assert.True(kept.allclose(whole, 0, 0));
        }
        group.Leave();
    }

    [Fact]
    public void AnAnswerComesAtTheNextQuestion()
    {
        Needs.Kernels();
        using var group = Group();
        Assert.Equal([false, false, true, false, true], new[] { false, true, false, true, true }.Select(group.Any));
        group.Leave();
    }

    private static ProcessGroup Group()
    {
        using var free = TcpListener.Create(0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        return Launch.From(new Dictionary<string, string>
        {
            ["RANK"] = "0",
            ["WORLD_SIZE"] = "1",
            ["LOCAL_RANK"] = "0",
            ["MASTER_ADDR"] = "127.0.0.1",
            ["MASTER_PORT"] = $"{port - 1}",
        }.GetValueOrDefault)!.Join(new Device(DeviceType.CUDA, 0));
    }

    private void Train(string name, ProcessGroup? group)
    {
        using var trainer = new Trainer(
            TinyRun.Recipe, tiny.Into(name) with { Devices = [new Device(DeviceType.CUDA, 0)], Group = group, ValidationShards = tiny.Validation });
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
    }

    private static double Loss(string line)
    {
        using var read = JsonDocument.Parse(line);
        return (read.RootElement.TryGetProperty("loss", out var loss) ? loss : read.RootElement.GetProperty("validation_loss")).GetDouble();
    }
}
