using System.Runtime.InteropServices;
using LandmarkSharp.Memory.Files;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Landmark keys of an open memory, once in this machine's memory for all sessions: [layer][G][n][d], each head's in pages of their own,
/// as <see cref="HostStorage.MapLandmarks(SafeFileHandle, long, long)"/> takes them. A file without a name holds them.
/// </summary>
internal sealed partial class SharedLandmarks : IDisposable
{
    private const uint CloseOnExec = 1;                 // MFD_CLOEXEC

    private readonly long headBytes, heads, row;

    /// <summary>Sets memory aside.</summary>
    /// <param name="model">Layers, heads and their width.</param>
    /// <param name="blocks">Blocks, n.</param>
    /// <param name="type">Type of the keys: the model's.</param>
    /// <exception cref="LandmarkException">The system refuses.</exception>
    public SharedLandmarks(MemoryModel model, long blocks, ScalarType type)
    {
        (heads, row) = (model.Heads, model.HeadDim * type.ElementSize());
        headBytes = BlockPages.Padded(blocks * row);
        var file = memfd_create("landmarks", CloseOnExec);
        if (file < 0)
            throw new LandmarkException(
                $"The system has no memory to share landmark keys in ({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}); "
                + "raise its limit on open files (ulimit -n).");
        File = new SafeFileHandle(file, ownsHandle: true);
        RandomAccess.SetLength(File, BytesOf(model, blocks, type));
    }

    /// <summary>What holds them.</summary>
    public SafeFileHandle File { get; }

    /// <summary>Bytes that they take.</summary>
    /// <inheritdoc cref="SharedLandmarks(MemoryModel, long, ScalarType)"/>
    public static long BytesOf(MemoryModel model, long blocks, ScalarType type) =>
        model.Layers * model.Heads * BlockPages.Padded(blocks * model.HeadDim * type.ElementSize());

    /// <summary>Where a layer's begin.</summary>
    public long Offset(int layer) => layer * heads * headBytes;

    /// <summary>Writes keys of blocks that follow each other.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="head">The head.</param>
    /// <param name="first">Bytes of the head's keys before them.</param>
    /// <param name="keys">Their bytes.</param>
    public void Write(int layer, int head, long first, ReadOnlySpan<byte> keys) =>
        RandomAccess.Write(File, keys, Offset(layer) + (head * headBytes) + first);

    /// <summary>Copies keys of some blocks of others, to follow each other here.</summary>
    public void Copy(SharedLandmarks others, int layer, IReadOnlyList<long> blocks)
    {
        Span<byte> key = new byte[row];
        for (var head = 0; head < heads; head++)
            for (var i = 0; i < blocks.Count; i++)
            {
                RandomAccess.Read(others.File, key, others.Offset(layer) + (head * others.headBytes) + (blocks[i] * row));
                Write(layer, head, (long)i * row, key);
            }
    }

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();

    [LibraryImport("libc.so.6", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);
}
