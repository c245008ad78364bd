using System.Buffers.Binary;
using System.Text;

namespace LandmarkSharp.Tests.Training;

/// <summary>An event: its step, its scalars, and whether it marks a run's start.</summary>
internal sealed record ReadEvent(long Step, double WallTime, string? Version, bool IsStart, IReadOnlyDictionary<string, float> Scalars);

/// <summary>Reads TensorBoard's files from their bytes: TFRecord, CRC-32C bit by bit, and the messages' fields by number.</summary>
internal static class EventReader
{
    /// <summary>The whole records of a file; one cut short ends it.</summary>
    public static List<ReadEvent> Read(string path)
    {
        var (bytes, at, events) = (File.ReadAllBytes(path), 0, new List<ReadEvent>());
        while (at + 12 <= bytes.Length)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            if (at + 16 + length > bytes.Length) break;
            CheckCrc(bytes.AsSpan(at, 8), bytes.AsSpan(at + 8, 4));
            CheckCrc(bytes.AsSpan(at + 12, length), bytes.AsSpan(at + 12 + length, 4));
            events.Add(Event(bytes.AsSpan(at + 12, length)));
            at += 16 + length;
        }
        return events;
    }

    /// <summary>What TensorBoard shows of a folder: files in the order of names, a start dropping its step and later ones.</summary>
    public static List<(long Step, string Tag, float Value)> Shown(string folder)
    {
        List<(long Step, string Tag, float Value)> shown = [];
        foreach (var file in Directory.EnumerateFiles(folder, "events.out.tfevents.*").Order(StringComparer.Ordinal))
        {
            foreach (var e in Read(file))
            {
                if (e.IsStart) shown.RemoveAll(s => s.Step >= e.Step);
                foreach (var (tag, value) in e.Scalars) shown.Add((e.Step, tag, value));
            }
        }
        return shown;
    }

    private static ReadEvent Event(ReadOnlySpan<byte> message)
    {
        var (step, wall, version, start, scalars) = (0L, 0.0, (string?)null, false, new Dictionary<string, float>());
        while (Field(ref message, out var number, out var bits, out var data))
        {
            if (number == 1) wall = BitConverter.UInt64BitsToDouble(bits);
            if (number == 2) step = (long)bits;
            if (number == 3) version = Encoding.UTF8.GetString(data);
            if (number == 7) start = Field(ref data, out var log, out bits, out _) && (log, bits) == (1, 1UL);
            if (number != 5) continue;
            while (Field(ref data, out _, out _, out var value))
            {
                var (tag, scalar) = ("", float.NaN);
                while (Field(ref value, out number, out bits, out var text))
                {
                    if (number == 1) tag = Encoding.UTF8.GetString(text);
                    if (number == 2) scalar = BitConverter.UInt32BitsToSingle((uint)bits);
                }
                scalars.Add(tag, scalar);
            }
        }
        return new ReadEvent(step, wall, version, start, scalars);
    }

    private static bool Field(ref ReadOnlySpan<byte> message, out int number, out ulong bits, out ReadOnlySpan<byte> data)
    {
        (number, bits) = (0, 0);
        data = default;
        if (message.IsEmpty) return false;
        var key = Varint(ref message);
        number = (int)(key >> 3);
        var size = (key & 7) switch { 1 => 8, 5 => 4, _ => 0 };
        if ((key & 7) == 0) bits = Varint(ref message);
        if (size > 0) for (var i = 0; i < size; i++) bits |= (ulong)message[i] << (8 * i);
        if ((key & 7) == 2) size = (int)Varint(ref message);
        data = message[..size];
        message = message[size..];
        return true;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> message)
    {
        for (var (value, shift) = (0UL, 0); ; shift += 7)
        {
            var b = message[0];
            message = message[1..];
            value |= (ulong)(b & 127) << shift;
            if (b < 128) return value;
        }
    }

    private static void CheckCrc(ReadOnlySpan<byte> data, ReadOnlySpan<byte> stored)
    {
        var crc = uint.MaxValue;
        foreach (var b in data)
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) * 0x82f63b78);
        }
        crc = ~crc;
        Assert.Equal(((crc >> 15) | (crc << 17)) + 0xa282ead8, BinaryPrimitives.ReadUInt32LittleEndian(stored));
    }
}
