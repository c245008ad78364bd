using System.Runtime.InteropServices;
using System.Text;

namespace LandmarkSharp;

/// <summary>
/// Files and folders that are whole whenever they have their name: written beside as <c>NAME.partial</c>, put on the disk, then
/// renamed. A kill, a full disk or a power cut leaves what was there, or what is new.
/// </summary>
internal static partial class WholeFiles
{
    /// <summary>What ends the name of that which is not whole.</summary>
    public const string Partial = ".partial";

    private const int ReadOnly = 0x80000;                                   // O_RDONLY | O_CLOEXEC
    private const int NoSpace = 28, OverQuota = 122;                        // ENOSPC, EDQUOT
    private const int CannotSync = 22;                                      // EINVAL

    /// <summary>Writes a text file.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void Write(string path, string text) => Write(path, file => file.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Writes a file.</summary>
    /// <inheritdoc cref="Write(string, string)"/>
    public static void Write(string path, Action<FileStream> write)
    {
        WritePartial(path, write);
        Commit(path);
    }

    /// <summary>Writes a file beside, under the name of one that is not whole; of several nothing has its name before all are there.</summary>
    /// <inheritdoc cref="Write(string, string)"/>
    public static void WritePartial(string path, Action<FileStream> write)
    {
        try
        {
            Guard(path, () =>
            {
                using var file = new FileStream(path + Partial, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
                write(file);
                file.Flush(flushToDisk: true);
            });
        }
        catch
        {
            TryDelete(path + Partial);
            throw;
        }
    }

    /// <summary>Gives a file that was written beside its name.</summary>
    /// <inheritdoc cref="Write(string, string)"/>
    public static void Commit(string path) => Guard(path, () =>
    {
        File.Move(path + Partial, path, overwrite: true);
        Sync(Path.GetDirectoryName(Path.GetFullPath(path))!);
    });

    /// <summary>Writes a folder, in place of one that may be there; when that fails nothing is left of it.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="write">Writes into the folder that it is given, which is there and empty.</param>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void WriteFolder(string folder, Action<string> write)
    {
        var partial = folder + Partial;
        try
        {
            Guard(folder, () =>
            {
                Delete(partial);
                Directory.CreateDirectory(partial);
                write(partial);
                foreach (var entry in Directory.EnumerateFileSystemEntries(partial, "*", SearchOption.AllDirectories)) Sync(entry);
                Sync(partial);
                // A folder cannot be renamed over another: the old one steps aside, and goes last.
                var old = folder + ".old";
                Delete(old);
                if (Directory.Exists(folder)) Directory.Move(folder, old);
                Directory.Move(partial, folder);
                Sync(Path.GetDirectoryName(Path.GetFullPath(folder))!);
                Delete(old);
            });
        }
        catch
        {
            TryDelete(partial);
            throw;
        }
    }

    /// <summary>Removes a folder, which loses its name before the first of its files.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void RemoveFolder(string folder) => Guard(folder, () =>
    {
        var partial = folder.EndsWith(Partial, StringComparison.Ordinal) ? folder : folder + Partial;
        if (partial != folder)
        {
            Delete(partial);
            Directory.Move(folder, partial);
        }
        Delete(partial);
    });

    /// <summary>Has a disk's refusal say which file it was, and what to do.</summary>
    /// <param name="path">The file or folder that is being written.</param>
    /// <param name="write">Writes it.</param>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void Guard(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (IsRefusal(e))
        {
            throw Refused(path, e);
        }
    }

    /// <summary>Whether an exception is a disk's refusal of a write, if it comes from one.</summary>
    public static bool IsRefusal(Exception e) => e is IOException or UnauthorizedAccessException || IsTooLarge(e);

    /// <summary>Whether there was no room left.</summary>
    public static bool IsFull(Exception? e) =>
        // .NET has an argument's exception for a file that grows beyond what a file system or an account may have.
    private static bool IsTooLarge(Exception e) =>
        e is ArgumentOutOfRangeException && e.Message.Contains("file length", StringComparison.Ordinal);

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int file);

    [LibraryImport("libc")]
    private static partial int close(int file);
}
