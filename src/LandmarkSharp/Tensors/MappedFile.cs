using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// A file, or a part of one, in memory as the system pages it in. Writes through the mapping are private to the process: they
/// never reach the file. The mapping is undone when its owner and the last tensor over it are gone.
/// </summary>
internal sealed unsafe partial class MappedFile : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int ReadWrite = 0x1 | 0x2;      // PROT_READ | PROT_WRITE
    private const int Private = 0x2 | 0x4000;     // MAP_PRIVATE | MAP_NORESERVE: no swap is set aside for the copies

    // A tensor's storage gives back only its address when it dies.
    private static readonly ConcurrentDictionary<nint, Lease> Leases = new();

    private MappedFile(nint address, long length)
        : base(ownsHandle: true)
    {
        SetHandle(address);
        Length = length;
    }

    /// <summary>Bytes mapped.</summary>
    public long Length { get; }

    /// <summary>Maps an open file, or a part of it, of at least one byte.</summary>
    /// <param name="file">The file; it may be closed afterwards.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="offset">Where they begin: at a page of the system.</param>
    /// <exception cref="IOException">The system refuses.</exception>
    public static MappedFile Open(SafeFileHandle file, long length, long offset = 0)
    {
        var address = mmap(0, (nuint)length, ReadWrite, Private, (int)file.DangerousGetHandle(), offset);
        GC.KeepAlive(file);
        return address != -1
            ? new MappedFile(address, length)
            : throw new IOException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastSystemError()));
    }

    /// <summary>The bytes of a part of what is mapped; valid while the mapping is not disposed.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(IsClosed, this);
        return new ReadOnlySpan<byte>((byte*)handle + offset, length);
    }

    /// <summary>A CPU tensor over a part of it; its storage keeps the mapping alive.</summary>
    public Tensor Tensor(long offset, ReadOnlySpan<long> shape, ScalarType type)
    {
        var added = false;
        DangerousAddRef(ref added);
        var data = handle + (nint)offset;
        Leases.AddOrUpdate(data, new Lease(this, 1), static (_, lease) => lease with { Count = lease.Count + 1 });

        nint tensor;
        fixed (long* sizes = shape)
            tensor = THSTensor_new(data, &Release, sizes, shape.Length, (sbyte)type, (sbyte)type, 0, 0, 0);
        if (tensor == 0)
        {
            GiveBack(data);
            CheckForErrors();
            throw new InvalidOperationException($"libtorch made no {type} tensor over a file, and gave no reason.");
        }

        return TorchSharp.torch.Tensor.UnsafeCreateTensor(tensor);
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => munmap(handle, (nuint)Length) == 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Release(nint data) => GiveBack(data);

    private static void GiveBack(nint data)
    {
        while (Leases.TryGetValue(data, out var lease))
        {
            var done = lease.Count == 1
                ? Leases.TryRemove(new KeyValuePair<nint, Lease>(data, lease))
                : Leases.TryUpdate(data, lease with { Count = lease.Count - 1 }, lease);
            if (!done)
                continue;
            lease.File.DangerousRelease();
            return;
        }
    }

    [LibraryImport("libc.so.6", SetLastError = false)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc.so.6")]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("LibTorchSharp")]
    private static partial nint THSTensor_new(
        nint data, delegate* unmanaged[Cdecl]<nint, void> deleter, long* sizes, int rank, sbyte type, sbyte dtype,
        int deviceType, int device, byte requiresGrad);

    private sealed record Lease(MappedFile File, int Count);
}
