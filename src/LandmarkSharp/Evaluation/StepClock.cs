using System.Diagnostics;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>What a step costs: on a GPU on average, on the CPU by the median, which other programs' work disturbs less.</summary>
/// <param name="Seconds">Of the device.</param>
/// <param name="HostSeconds">Of the processor that queues it; on the CPU the same.</param>
/// <param name="Bytes">That it must read.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct StepTime(double Seconds, double HostSeconds, long Bytes)
{
    /// <summary>Bytes a second.</summary>
    public double Bandwidth => Bytes / Seconds;

    /// <summary>Whether the device waits for the processor when there is nothing else to do.</summary>
    public bool IsHostBound => HostSeconds > Seconds;
}

/// <summary>
/// Times short steps by what the device takes, not by what it costs to queue them: the device is kept busy until all are queued.
/// </summary>
internal sealed class StepClock
{
    private const int PeakRuns = 10;
    private const long CudaBytes = 1L << 30, CpuBytes = 256L << 20;     // more than any cache

    private readonly double pass;

    /// <summary>Measures how fast the device reads memory.</summary>
    public StepClock(Device device)
    {
        Device = device;
        var bytes = IsCuda ? CudaBytes : CpuBytes;
        using var large = Large();
        for (var run = 0; run <= PeakRuns; run++)
        {
            var start = Stopwatch.GetTimestamp();
            large.sum().Dispose();
            Wait();
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            pass = run <= 1 ? seconds : Math.Min(pass, seconds);        // the first finds memory
        }
        PeakBandwidth = bytes / pass;
    }

    public Device Device { get; }

    /// <summary>Bytes a second at best.</summary>
    public double PeakBandwidth { get; }

    private bool IsCuda => Device.type == DeviceType.CUDA;

    /// <summary>Times steps, after as many that only warm up.</summary>
    /// <param name="steps">How many.</param>
    /// <param name="bytes">That each must read.</param>
    /// <param name="step">Does, or queues, the step of a number.</param>
    public StepTime Measure(int steps, long bytes, Action<int> step)
    {
        All();
        Wait();
        if (!IsCuda)
        {
            var median = Enumerable.Range(0, steps).Select(i => Seconds(() => step(i))).Order().ElementAt(steps / 2);
            return new StepTime(median, median, bytes);
        }
        var start = Stopwatch.GetTimestamp();
        All();
        var host = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Wait();

        using var large = Large();
        using var timer = new CudaTimer(Math.Max(0, Device.index));
        for (var busy = 0.0; busy < 2 * host; busy += pass) large.sum().Dispose();
        timer.Start();
        All();
        timer.Stop();
        return new StepTime(timer.Seconds / steps, host / steps, bytes);

        void All()
        {
            for (var i = 0; i < steps; i++) step(i);
        }
    }

    private static double Seconds(Action step)
    {
        var start = Stopwatch.GetTimestamp();
        step();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // Written to: pages that were not are all the same one, and read from the first cache.
    private Tensor Large() => ones([(IsCuda ? CudaBytes : CpuBytes) / sizeof(float)], ScalarType.Float32, Device);

    private void Wait()
    {
        if (IsCuda) cuda.synchronize(Device);
    }
}
