using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>The element types of the safetensors format that libtorch computes with.</summary>
internal static class SafeTensorTypes
{
    private static readonly (string Name, ScalarType Type, int Bytes)[] All =
    [
        ("F32", ScalarType.Float32, 4),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("F64", ScalarType.Float64, 8),
        ("I64", ScalarType.Int64, 8),
        ("I32", ScalarType.Int32, 4),
        ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1),
        ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>All names, for an error's sentence.</summary>
    public static string Names { get; } = string.Join(", ", All.Select(type => type.Name));

    /// <summary>The type of a name in a file's header; null when it is not one of these.</summary>
    public static ScalarType? Parse(string name)
    {
        foreach (var known in All)
        {
            if (known.Name == name)
                return known.Type;
        }

        return null;
    }

    /// <summary>The name of a type in a file's header; null when the format has none.</summary>
    public static string? NameOf(ScalarType type)
    {
        foreach (var known in All)
        {
            if (known.Type == type)
                return known.Name;
        }

        return null;
    }

    /// <summary>The size of one element in bytes.</summary>
    public static int Size(ScalarType type) => All.First(known => known.Type == type).Bytes;
}
