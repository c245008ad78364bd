using System.Text;

namespace LandmarkSharp.Tests.Text;

/// <summary>Reads the key-value part of a GGUF file, which is all that a vocabulary needs.</summary>
internal static class Gguf
{
    public static Dictionary<string, object> ReadMetadata(string path)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        if (reader.ReadUInt32() != 0x46554747) throw new InvalidDataException($"'{path}' is not GGUF.");
        var version = reader.ReadUInt32();
        if (version is < 2 or > 3) throw new InvalidDataException($"'{path}' is GGUF version {version}.");
        reader.ReadUInt64();
        var count = reader.ReadUInt64();
        var metadata = new Dictionary<string, object>(StringComparer.Ordinal);
        for (var i = 0UL; i < count; i++)
        {
            var key = ReadString(reader);
            metadata[key] = ReadValue(reader, reader.ReadUInt32());
        }
        return metadata;
    }

    private static object ReadValue(BinaryReader reader, uint type) => type switch
    {
        0 => reader.ReadByte(),
        1 => reader.ReadSByte(),
        2 => reader.ReadUInt16(),
        3 => reader.ReadInt16(),
        4 => reader.ReadUInt32(),
        5 => reader.ReadInt32(),
        6 => reader.ReadSingle(),
        7 => reader.ReadByte() != 0,
        8 => ReadString(reader),
        9 => ReadArray(reader),
        10 => reader.ReadUInt64(),
        11 => reader.ReadInt64(),
        12 => reader.ReadDouble(),
        _ => throw new InvalidDataException($"GGUF value type {type}."),
    };

    private static object ReadArray(BinaryReader reader)
    {
        var (type, length) = (reader.ReadUInt32(), (int)reader.ReadUInt64());
        return type switch
        {
            5 => Array(() => reader.ReadInt32()),
            6 => Array(() => reader.ReadSingle()),
            8 => Array(() => ReadString(reader)),
            _ => Array(() => ReadValue(reader, type)),
        };

        T[] Array<T>(Func<T> read)
        {
            var values = new T[length];
            for (var i = 0; i < length; i++) values[i] = read();
            return values;
        }
    }

    private static string ReadString(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadUInt64()));
}
