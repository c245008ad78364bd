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
                var old = folder + ".old" + Partial;
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
        Delete(folder + Partial);
        Directory.Move(folder, folder + Partial);
        Delete(folder + Partial);
    });

    /// <summary>Removes from a folder the folders that a kill left half written or half removed.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="names">The pattern of their names.</param>
    public static void Sweep(string folder, string names)
    {
        if (!Directory.Exists(folder)) return;
        foreach (var left in Directory.EnumerateDirectories(folder, names + Partial)) TryDelete(left);
    }

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

    /// <summary>Whether there was no room left: in words alone where it was asked for beforehand.</summary>
    public static bool IsFull(Exception? e) =>
        e is IOException full && (full.HResult is NoSpace or OverQuota || full.Message.EndsWith("disk was full.", StringComparison.Ordinal));

    /// <summary>A refusal as a sentence.</summary>
    public static LandmarkException Refused(string path, Exception e) => new(
        $"{path} cannot be written: " + (
            IsFull(e) ? "the disk is full; make room on it and run the same command again."
            : IsTooLarge(e) ? "files that large are not allowed there; give a folder on another disk, or raise the limit ('ulimit -f'), "
                + "and run the same command again."
            : $"{e.Message.TrimEnd('.')}; check the path, its permissions and its disk."),
        e);

    /// <summary>Deletes a file or folder if it can be done: the failure that leads here matters more than what is left behind.</summary>
    public static void TryDelete(string path)
    {
        try
        {
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            else File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has the name of what is not whole, and the next one written there replaces it.
        }
    }

    /// <summary>Has what was written to a file, or a folder's names, on the disk before going on.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static void Sync(string path)
    {
        var file = open(path, ReadOnly);
        var error = file < 0 || fsync(file) != 0 ? Marshal.GetLastPInvokeError() : 0;
        if (file >= 0) _ = close(file);
        // Some file systems have no such thing for folders.
        if (error is not (0 or CannotSync)) throw new IOException($"{Marshal.GetPInvokeErrorMessage(error)} : '{path}'", error);
    }

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
