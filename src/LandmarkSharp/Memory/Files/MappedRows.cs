namespace LandmarkSharp.Memory.Files;

/// <summary>Keys and values where the system has the file's pages: nothing is copied, and it is gone when the file is closed.</summary>
/// <param name="numbers">[heads, K|V, ℓ, d], in the file's type.</param>
/// <param name="scales">[heads, K|V, ℓ]: what each row of int8 is multiplied by; nothing for other types.</param>
public readonly ref struct MappedRows(ReadOnlySpan<byte> numbers, ReadOnlySpan<float> scales)
{
    /// <summary>[heads, K|V, ℓ, d], in the file's type.</summary>
    public ReadOnlySpan<byte> Numbers { get; } = numbers;

    /// <summary>[heads, K|V, ℓ]: what each row of int8 is multiplied by; nothing for other types.</summary>
    public ReadOnlySpan<float> Scales { get; } = scales;
}
