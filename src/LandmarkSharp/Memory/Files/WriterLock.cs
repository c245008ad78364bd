using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// What lets one writer alone at a file or a run's folder: an empty file beside it that is held open for itself. On Linux .NET takes it by
/// <c>flock</c>, which the system undoes when the process dies, however it dies. It is never deleted: another process could hold
/// what was deleted while a third makes and holds a new one.
/// </summary>
internal static class WriterLock
{
    private const string Suffix = ".lock";

    private const int Taken = 11;                                           // EAGAIN, EWOULDBLOCK

    /// <summary>Takes the lock of a file, which need not be there.</summary>
    /// <param name="path">The file.</param>
    /// <param name="taken">What is said where another has it.</param>
    /// <exception cref="LandmarkException">Another writer has it, or the folder cannot be written.</exception>
    public static SafeFileHandle Take(string path, string? taken = null)
    {
        try
        {
            return File.OpenHandle(path + Suffix, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e.HResult == Taken)
        {
            throw new LandmarkException(taken ?? $"{path} is being written by another writer; wait until that has ended, or end it.", e);
        }
        catch (Exception e) when (WholeFiles.IsRefusal(e))
        {
            throw WholeFiles.Refused(path + Suffix, e);
        }
    }
}
