using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Tensors;

/// <summary>
/// Addresses that are set aside for far more than there is yet: pages are zeros, and take memory once something is written to them,
/// so what lies here grows without being moved or copied.
/// </summary>
internal sealed partial class AddressRange : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int ReadWrite = 0x1 | 0x2;            // PROT_READ | PROT_WRITE
    private const int Anonymous = 0x2 | 0x20 | 0x4000;  // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE: nothing is set aside but addresses

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
            return handle;
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
        var address = mmap(0, (nuint)length, ReadWrite, Anonymous, -1, 0);
        return address != -1
            ? new AddressRange(address, length)
            : throw new LandmarkException(
                $"The system gives no {length / 1e9:N1} GB of addresses to keep keys and values at "
                + $"({Marshal.GetPInvokeErrorMessage(Marshal.GetLastSystemError())}); raise its limit (ulimit -v).");
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => munmap(handle, (nuint)Length) == 0;

    [LibraryImport("libc.so.6", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc.so.6")]
    private static partial int munmap(nint address, nuint length);
}
