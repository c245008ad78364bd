using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text.Json;
using Google.Protobuf;
using Tensorboard;

namespace LandmarkSharp.Training;

/// <summary>
/// A run's metrics for TensorBoard: each start of a run writes a file of its own, whose first records say from which step on
/// those of files before are void. (TorchSharp's SummaryWriter has the messages, and neither that mark nor a file kept open.)
/// </summary>
/// <param name="folder">The run's folder; the file is made with its first event.</param>
/// <param name="step">Steps done when the run started or went on.</param>
internal sealed class EventFile(string folder, long step) : IDisposable
{
    private const string Prefix = "events.out.tfevents.";

    private FileStream? file;

    /// <summary>Adds the numbers of a line, each under its name in metrics.jsonl.</summary>
    public void Add(IEnumerable<MetricsLine> lines)
    {
        foreach (var line in lines)
        {
            var numbers = JsonSerializer.SerializeToElement(line, RunJson.Line).EnumerateObject()
                .Where(p => p.Value.ValueKind == JsonValueKind.Number && !p.NameEquals("step"));
            Add(line.Step, numbers.Select(p => (p.Name, p.Value.GetDouble())));
        }
    }

    /// <summary>Adds numbers of a step, which a kill of the process leaves.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Add(long at, IEnumerable<(string Tag, double Value)> numbers)
    {
        var summary = new Summary();
        foreach (var (tag, value) in numbers) summary.Value.Add(new Summary.Types.Value { Tag = tag, SimpleValue = (float)value });
        WholeFiles.Guard(file?.Name ?? folder, () => Write(file ??= Open(), new Event { Step = at, Summary = summary }));
    }

    /// <summary>Has all of it on the disk: a power cut leaves it.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Sync()
    {
        if (file is not null) WholeFiles.Guard(file.Name, () => file.Flush(flushToDisk: true));
    }

    /// <inheritdoc/>
    public void Dispose() => file?.Dispose();

    private FileStream Open()
    {
        // TensorBoard reads the files in the order of their names, which begin with the second.
        var newest = Directory.EnumerateFiles(folder, Prefix + "*")
            .Select(f => long.TryParse(Path.GetFileName(f)[Prefix.Length..].Split('.')[0], out var at) ? at : 0).DefaultIfEmpty().Max();
        var second = Math.Max(DateTimeOffset.UtcNow.ToUnixTimeSeconds(), newest + 1).ToString("D10", CultureInfo.InvariantCulture);
        var opened = new FileStream(
            Path.Combine(folder, $"{Prefix}{second}.{Environment.MachineName}.{Environment.ProcessId}"), FileMode.CreateNew,
            FileAccess.Write, FileShare.Read, bufferSize: 0);
        Write(opened, new Event { FileVersion = "brain.Event:2" });
        // Its own step and all later ones are dropped.
        Write(opened, new Event { Step = step + 1, SessionLog = new SessionLog { Status = SessionLog.Types.SessionStatus.Start } });
        return opened;
    }

    /// <summary>A TFRecord: length, checksum, message, checksum.</summary>
    private static void Write(FileStream file, Event what)
    {
        what.WallTime = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1e3;
        var message = what.ToByteArray();
        var record = new byte[message.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(record, message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedCrc(record.AsSpan(0, 8)));
        message.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + message.Length), MaskedCrc(message));
        file.Write(record);
    }

    /// <summary>CRC-32C, masked as TFRecord has it: checksums of data that holds checksums are poor ones.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes) crc = BitOperations.Crc32C(crc, b);
        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8;
    }
}
