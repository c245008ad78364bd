using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// Processes that train one model together: each on its share of a step's batches, each with its share of the optimizer's state.
/// What they do together is done by MPI on CPUs and NCCL on GPUs; all must call the same operations in the same order.
/// </summary>
/// <param name="rank">This process's number, from 0.</param>
/// <param name="size">How many there are.</param>
public abstract class ProcessGroup(int rank, int size) : IDisposable
{
    /// <summary>This process's number, from 0.</summary>
    public int Rank => rank;

    /// <summary>How many processes there are.</summary>
    public int Size => size;

    /// <summary>
    /// Waits for all to come here and takes leave of them, so that none ends while another still works. A process that fails does
    /// not: its launcher ends the others.
    /// </summary>
    /// <exception cref="LandmarkException">The library beneath fails.</exception>
    public abstract void Leave();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of what it holds, without a word to the others.</summary>
    protected abstract void Dispose(bool disposing);

    /// <summary>Sums a tensor over all processes, in place.</summary>
    /// <param name="values">Float32 or float64, contiguous, on the group's device.</param>
    internal abstract void Sum(Tensor values);

    /// <summary>Sums a vector over all processes, and leaves each its share.</summary>
    /// <param name="whole">This process's summand, [size · n].</param>
    /// <param name="share">Receives elements rank · n to rank · n + n − 1 of the sum, [n].</param>
    internal abstract void SumShares(Tensor whole, Tensor share);

    /// <summary>Gives every process the shares of all.</summary>
    /// <param name="share">This process's, [n].</param>
    /// <param name="whole">Receives all of them by rank, [size · n].</param>
    internal abstract void Gather(Tensor share, Tensor whole);

    /// <summary>Gives every process the first one's values.</summary>
    internal abstract void Broadcast(Tensor values);

    /// <summary>
    /// Whether any process says yes. All get the same answer; where asking would mean waiting for a device, it is that to the
    /// question before, which at first was no.
    /// </summary>
    internal abstract bool Any(bool mine);

    /// <summary>Has all begin alike: with the first process's parameters, where steps done, recipe and data are the same.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="data">What tells apart the data of two runs.</param>
    /// <param name="parameters">What is trained.</param>
    /// <exception cref="LandmarkException">They are not.</exception>
    internal void Begin(long step, TrainingOptions options, string data, IReadOnlyList<Tensor> parameters)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        double[] mine = [step, Digest(options.ToJson()), Digest(data)];
        var first = tensor(mine, ScalarType.Float64, parameters[0].device);
        Broadcast(first);
        var theirs = first.cpu().data<double>().ToArray();
        if (!theirs.AsSpan(0, 2).SequenceEqual(mine.AsSpan(0, 2)))
            throw new LandmarkException(
                $"Process {Rank} would go on from step {step}, and the first process from step {theirs[0]} or with another "
                + "recipe; give all the same recipe and the same output folder, on a disk that all of them see.");
        if (theirs[2] != mine[2])
            throw new LandmarkException(
                $"Process {Rank} has other token shards, or another model to adapt, than the first process; "
                + "give all the same, on a disk that all of them see.");
        var all = new EndToEnd(parameters);
        for (var from = 0L; from < all.Length; from += EndToEnd.Stretch)
        {
            using var part = NewDisposeScope();
            var values = all.Read(p => p, from, Math.Min(EndToEnd.Stretch, all.Length - from));
            Broadcast(values);
            all.Write(from, values);
        }
    }

    /// <summary>A number that tells texts apart: as many bits of their hash as a double holds.</summary>
    private static double Digest(string text) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text))) >> 12;
}
