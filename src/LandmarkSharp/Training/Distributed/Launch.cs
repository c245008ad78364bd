using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>What a launcher told this process: that it is one of several.</summary>
/// <param name="Rank">Its number, from 0.</param>
/// <param name="Size">How many there are.</param>
/// <param name="LocalRank">Its number on this machine, from 0.</param>
public sealed record Launch(int Rank, int Size, int LocalRank)
{
    /// <summary>Where processes that torchrun started meet; null under mpirun, which has them meet itself.</summary>
    public (string Host, int Port)? Meeting { get; private init; }

    /// <summary>
    /// Reads Open MPI's <c>OMPI_COMM_WORLD_RANK</c>, <c>_SIZE</c> and <c>_LOCAL_RANK</c>, or torchrun's <c>RANK</c>, <c>WORLD_SIZE</c>,
    /// <c>LOCAL_RANK</c>, <c>MASTER_ADDR</c> and <c>MASTER_PORT</c>.
    /// </summary>
    /// <returns>Null for a process that was started by itself.</returns>
    /// <exception cref="LandmarkException">Variables are missing or make no sense; the message names one.</exception>
    public static Launch? FromEnvironment() => From(Environment.GetEnvironmentVariable);

    /// <summary>Joins the others.</summary>
    /// <param name="device">The device that this process trains on.</param>
    /// <exception cref="LandmarkException">MPI or NCCL is not there, or the others do not come.</exception>
    public ProcessGroup Join(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.type == DeviceType.CUDA) return NcclGroup.Join(this, device);
        return Meeting is null ? new MpiGroup(Rank, Size) : throw new LandmarkException(
            $"Processes on {device} are joined by MPI, and torchrun does not start it; start them by mpirun, or give --device cuda.");
    }

    /// <summary>The same from any variables.</summary>
    internal static Launch? From(Func<string, string?> variable)
    {
        int Number(string name, int least, int most) =>
            int.TryParse(Text(name), NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least && n <= most
                ? n
                : throw new LandmarkException(
                    $"The environment variable {name} is '{variable(name)}' and must be a number from {least} to {most}; "
                    + "start the processes by mpirun or torchrun.");

        string Text(string name) => variable(name) is { Length: > 0 } text ? text : throw new LandmarkException(
            $"This process is one of several by its environment, and {name} is not set; start the processes by mpirun or torchrun, "
            + "or unset WORLD_SIZE to train in one.");

        if (variable("OMPI_COMM_WORLD_SIZE") is not null)
        {
            var size = Number("OMPI_COMM_WORLD_SIZE", 1, int.MaxValue);
            return new Launch(Number("OMPI_COMM_WORLD_RANK", 0, size - 1), size, Number("OMPI_COMM_WORLD_LOCAL_RANK", 0, size - 1));
        }
        if (variable("WORLD_SIZE") is null) return null;
        var world = Number("WORLD_SIZE", 1, int.MaxValue);
        return new Launch(Number("RANK", 0, world - 1), world, Number("LOCAL_RANK", 0, world - 1))
        {
            // torchrun itself listens at MASTER_PORT.
            Meeting = (Text("MASTER_ADDR"), Number("MASTER_PORT", 1, 65534) + 1),
        };
    }
}
