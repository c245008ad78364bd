namespace LandmarkSharp.Tensors.Cuda;

/// <summary>Shared memory of a multiprocessor.</summary>
internal static class SharedMemory
{
    /// <summary>
    /// Bytes that a thread block may ask for on a card of such a capability: cards for data centres have more than others (CUDA C++
    /// Programming Guide, compute capabilities).
    /// </summary>
    public static int Most(Version capability) => capability switch
    {
        { Major: 9 or 10 } => 227 * 1024,
        { Major: 8, Minor: 0 or 7 } => 163 * 1024,
        _ => 99 * 1024,
    };
}
