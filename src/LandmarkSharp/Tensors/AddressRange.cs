using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Tensors;

/// <summary>
/// Addresses that are set aside for far more than there is yet: pages are zeros, and take memory once something is written to them,
/// so what lies here grows without being moved or copied. A part of a file can take the place of zeros.
/// </summary>
internal sealed partial class AddressRange : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int Read = 0x1, ReadWrite = Read | 0x2;   // PROT_READ, PROT_WRITE
    private const int Shared = 0x1, Private = 0x2, Fixed = 0x10;
    private const int NoReserve = 0x4000, Anonymous = Private | 0x20 | NoReserve;   // nothing is set aside but addresses
    private const int DontNeed = 4;                     // MADV_DONTNEED

    /// <summary>The first address is a multiple: the system maps so much of a file at once, around the page that it is asked for.</summary>
    public const int Window = 1 << 16;

    private AddressRange(nint address, long length)
        : base(ownsHandle: true)
    {
        SetHandle(address);
        Length = length;
    }

    /// <summary>Bytes of a page, of which everything here is a multiple.</summary>
    public static int Page { get; } = Environment.SystemPageSize;

    /// <summary>Bytes set aside.</summary>
    public long Length { get; }

    /// <summary>The first address.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return (handle + Window - 1) / Window * Window;
        }
    }

    /// <summary>So many bytes in whole pages.</summary>
    public static long Padded(long bytes) => (bytes + Page - 1) / Page * Page;

    /// <summary>Sets addresses aside.</summary>
    /// <param name="bytes">How many; rounded up to pages.</param>
    /// <exception cref="LandmarkException">The system refuses.</exception>
    public static AddressRange Reserve(long bytes)
    {
        var length = Padded(bytes);
        var address = mmap(0, (nuint)(length + Window), ReadWrite, Anonymous, -1, 0);
        return address != -1
            ? new AddressRange(address, length)
            : throw new LandmarkException(
                $"The system gives no {length / 1e9:N1} GB of addresses to keep keys and values at "
                + $"({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}); raise its limit (ulimit -v).");
    }

    /// <summary>Has a part of a file in the place of what there is; of one that is cut short later, reading ends the process.</summary>
    /// <param name="file">The file; it may be closed afterwards.</param>
    /// <param name="offset">Where it begins in the file, at a page.</param>
    /// <param name="at">Where here, at a page.</param>
    /// <param name="bytes">Bytes, whole pages.</param>
    /// <param name="writable">Whether it may be written: the pages written to are then this mapping's own copies.</param>
    /// <exception cref="LandmarkException">The system refuses, or there are no such addresses here.</exception>
    public void Map(SafeFileHandle file, long offset, long at, long bytes, bool writable = false)
    {
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            Place(
                at, bytes, writable ? ReadWrite : Read, Fixed | (writable ? Private | NoReserve : Shared), (int)file.DangerousGetHandle(), offset);
        }
        finally
        {
            if (held) file.DangerousRelease();
        }
    }

    /// <summary>Has zeros again in the place of what there is.</summary>
    /// <param name="at">Where they begin, at a page.</param>
    /// <param name="bytes">Bytes, whole pages.</param>
    /// <exception cref="LandmarkException">The system refuses, or there are no such addresses here.</exception>
    public void Clear(long at, long bytes) => Place(at, bytes, ReadWrite, Fixed | Anonymous, -1, 0);

    /// <summary>
    /// Gives back the memory that pages of a file take; they are read from the file again when they are needed. Never for others: what
    /// was written there would be lost.
    /// </summary>
    /// <param name="at">Where they begin.</param>
    /// <param name="bytes">Bytes, whole pages.</param>
    /// <exception cref="ObjectDisposedException">The addresses were given back.</exception>
    public void Release(long at, long bytes)
    {
        Within(at, bytes);
        var held = false;
        try
        {
            DangerousAddRef(ref held);                              // or what is mapped here next would be lost
            _ = madvise(Address + (nint)at, (nuint)bytes, DontNeed);    // advice: what is not taken does no harm
        }
        finally
        {
            if (held) DangerousRelease();
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => munmap(handle, (nuint)(Length + Window)) == 0;

    private void Place(long at, long bytes, int protection, int flags, int file, long offset)
    {
        Within(at, bytes);
        if (mmap(Address + (nint)at, (nuint)bytes, protection, flags, file, offset) == -1)
            throw new LandmarkException(
                $"The system does not map {bytes / 1e6:N1} MB of a file ({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}); "
                + "open fewer sessions, or raise its limit on mappings (sysctl vm.max_map_count).");
    }

    private void Within(long at, long bytes)
    {
        if (at < 0 || bytes < 1 || at > Length - bytes || at % Page != 0 || bytes % Page != 0)
            throw new LandmarkException($"{bytes} bytes at {at} are no pages of {Length} bytes of addresses; give whole ones that are there.");
    }

    [LibraryImport("libc.so.6", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc.so.6")]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc.so.6")]
    private static partial int madvise(nint address, nuint length, int advice);
}
