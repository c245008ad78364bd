using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Memory.Files;

/// <summary>A file that is read and written at offsets, by any number of threads; its failures are sentences.</summary>
internal sealed partial class StoredFile : IDisposable
{
    private const int WillNeed = 3;                     // POSIX_FADV_WILLNEED

    private StoredFile(string path, SafeFileHandle handle) => (Path, Handle) = (path, handle);

    /// <summary>The file, no link to it.</summary>
    public string Path { get; }

    /// <summary>The system's handle.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Its length now, in bytes.</summary>
    public long Length => RandomAccess.GetLength(Handle);

    /// <summary>The file behind a path: what is renamed over a link would replace the link alone.</summary>
    /// <exception cref="LandmarkException">There is no path.</exception>
    public static string Real(string path)
    {
        RequirePath(path);
        return (File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName : null) ?? System.IO.Path.GetFullPath(path);
    }

    /// <summary>Opens a file that is there; others may read and write it too.</summary>
    /// <exception cref="LandmarkException">It is not there, or may not be opened.</exception>
    public static StoredFile Open(string path, FileAccess access)
    {
        RequirePath(path);
        try
        {
            return new StoredFile(path, File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LandmarkException($"There is no memory file {path}; check the path.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException(
                $"{path} cannot be opened: {(Directory.Exists(path) ? "it is a folder" : e.Message.TrimEnd('.'))}; check the path and its permissions.", e);
        }
    }

    /// <summary>Reads as much as there is.</summary>
    /// <returns>The bytes read.</returns>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public int ReadSome(Span<byte> bytes, long offset)
    {
        var read = 0;
        try
        {
            while (read < bytes.Length && RandomAccess.Read(Handle, bytes[read..], offset + read) is > 0 and var more) read += more;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"{Path} cannot be read at byte {offset + read}: {e.Message.TrimEnd('.')}; check the disk.", e);
        }
        return read;
    }

    /// <summary>Reads bytes that must be there.</summary>
    /// <exception cref="LandmarkException">They are not, or the disk refuses.</exception>
    public void Read(Span<byte> bytes, long offset)
    {
        if (ReadSome(bytes, offset) != bytes.Length)
            throw new LandmarkException($"{Path} is cut short: it has no {bytes.Length} bytes at byte {offset}; restore it from a copy.");
    }

    /// <summary>Has the system begin to read bytes that will be asked for soon; it may do without.</summary>
    public void Expect(long offset, long bytes) => _ = posix_fadvise(Handle, offset, bytes, WillNeed);      // advice: what is not taken does no harm

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();

    private static void RequirePath(string path)
    {
        if (path.Length == 0) throw new LandmarkException("A memory file needs a path, and none is given; give one.");
    }

    [LibraryImport("libc.so.6")]
    private static partial int posix_fadvise(SafeFileHandle file, long offset, long bytes, int advice);
}
