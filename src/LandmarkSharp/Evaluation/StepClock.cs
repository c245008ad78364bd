using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Evaluation;

/// <summary>What a step costs: on a GPU on average, on the CPU by the median, which other programs' work disturbs less.</summary>
/// <param name="Seconds">Of the device.</param>
/// <param name="HostSeconds">Of the processor that queues it; on the CPU the same.</param>
/// <param name="Bytes">That it must read.</param>
/// <param name="PeakBandwidth">Bytes a second that the device reads at best: the sum of a large tensor.</param>
/// <param name="OfPeak">
/// The step's bandwidth as a part of that. On the CPU others use the memory too, so steps and sums of parts of that tensor are
/// measured one after the other in small groups: the median over the groups of the part that the medians of one are.
/// </param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct StepTime(double Seconds, double HostSeconds, long Bytes, double PeakBandwidth, double OfPeak)
{
    /// <summary>Bytes a second.</summary>
    public double Bandwidth => Bytes / Seconds;

    /// <summary>Whether the device waits for the processor when there is nothing else to do.</summary>
    public bool IsHostBound => HostSeconds > Seconds;
}

/// <summary>
/// Times short steps by what the device takes, not by what it costs to queue them: the device is kept busy until all are queued.
/// </summary>
/// <param name="device">Where.</param>
internal sealed class StepClock(Device device)
{
    private const int Turns = 20, CudaRuns = 10;
    private const long CudaBytes = 1L << 30, CpuBytes = 256L << 20, ReadBytes = CpuBytes / 8;   // more than any cache

    public Device Device => device;

    private bool IsCuda => device.type == DeviceType.CUDA;

    /// <summary>Times steps, after as many that only warm up.</summary>
    /// <param name="steps">How many.</param>
    /// <param name="bytes">That each must read.</param>
    /// <param name="step">Does, or queues, the step of a number.</param>
    /// <param name="memory">
    /// What steps read from. On the CPU it is read for comparison too, if no cache holds it: how fast memory is there depends on
    /// which pages the system gave.
    /// </param>
    public StepTime Measure(int steps, long bytes, Action<int> step, Tensor? memory = null)
    {
        var size = IsCuda ? CudaBytes : CpuBytes;
        // Written to: pages that were not are all the same one, and read from the first cache.
        using var large = !IsCuda && memory?.numel() * memory?.element_size() >= size
            ? memory!.alias() : ones([size / sizeof(float)], ScalarType.Float32, device);
        for (var i = 0; i < steps; i++) step(i);
        return IsCuda ? OnCuda(steps, bytes, step, large) : InTurns(steps, bytes, step, large);
    }

    private static StepTime InTurns(int steps, long bytes, Action<int> step, Tensor large)
    {
        var turns = Math.Min(Turns, steps);
        List<double> times = [], reads = [], parts = [];
        for (var turn = 0; turn < turns; turn++)
        {
            List<double> own = [], beside = [];
            for (var i = (int)((long)steps * turn / turns); i < (int)((long)steps * (turn + 1) / turns); i++)
            {
                beside.Add(Seconds(() => Read(large, i)));
                own.Add(Seconds(() => step(i)));
            }
            times.AddRange(own);
            reads.AddRange(beside);
            parts.Add(bytes / Median(own) / (ReadBytes / Median(beside)));
        }
        var median = Median(times);
        return new StepTime(median, median, bytes, ReadBytes / Median(reads), Median(parts));
    }

    /// <summary>
    /// The sum of the next part of the large tensor, in pieces that threads take as they take a step's parts: about as long as
    /// a step, so that others' work holds up both alike.
    /// </summary>
    private static unsafe void Read(Tensor large, int turn)
    {
        const int Piece = 1 << 16;                                      // numbers: a quarter of a megabyte
        var data = (nint)Aten.DataPointer(large) + (nint)(turn % (large.numel() * large.element_size() / ReadBytes) * ReadBytes);
        var sums = new float[ReadBytes / sizeof(float) / Piece];
        CpuParallel.Briefly(sums.Length, Piece, 0, (piece, _) =>
            sums[piece] = TensorPrimitives.Sum(new ReadOnlySpan<float>((float*)data + ((long)piece * Piece), Piece)));
    }

    private StepTime OnCuda(int steps, long bytes, Action<int> step, Tensor large)
    {
        var pass = Enumerable.Range(0, CudaRuns).Min(_ => Seconds(() =>
        {
            large.sum().Dispose();
            cuda.synchronize(device);
        }));
        cuda.synchronize(device);
        var host = Seconds(All);
        cuda.synchronize(device);

        using var timer = new CudaTimer(Math.Max(0, device.index));
        for (var busy = 0.0; busy < 2 * host; busy += pass) large.sum().Dispose();
        timer.Start();
        All();
        timer.Stop();
        var (seconds, peak) = (timer.Seconds / steps, CudaBytes / pass);
        return new StepTime(seconds, host / steps, bytes, peak, bytes / seconds / peak);

        void All()
        {
            for (var i = 0; i < steps; i++) step(i);
        }
    }

    private static double Median(IEnumerable<double> numbers) => numbers.Order().ElementAt(numbers.Count() / 2);

    private static double Seconds(Action step)
    {
        var start = Stopwatch.GetTimestamp();
        step();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
