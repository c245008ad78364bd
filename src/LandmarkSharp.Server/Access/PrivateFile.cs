using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace LandmarkSharp.Server.Access;

/// <summary>A file of JSON that its owner alone may read and write.</summary>
internal static class PrivateFile
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Reads it; null where it is not.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">What it holds.</param>
    /// <param name="remedy">What to do where it is damaged.</param>
    /// <exception cref="LandmarkException">It is damaged, is open to others, or cannot be read.</exception>
    public static T? Read<T>(string path, JsonTypeInfo<T> type, string remedy)
        where T : class
    {
        try
        {
            using var file = File.OpenRead(path);
            // Of the open file, for what has its name could be another one by now.
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(file.SafeFileHandle) & ~(Owner | UnixFileMode.UserExecute)) != UnixFileMode.None)
                throw new LandmarkException($"{path} is open to other accounts of this machine; close it to them by 'chmod 600 {path}'.");
            return JsonSerializer.Deserialize(file, type) ?? throw new JsonException();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"{path} is damaged; {remedy}.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"{path} cannot be read: {e.Message.TrimEnd('.')}; check the path and its permissions.", e);
        }
    }

    /// <summary>Writes it whole.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void Write<T>(string path, T value, JsonTypeInfo<T> type)
    {
        WholeFiles.Write(path, file =>
        {
            // Before anything stands in it.
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(file.SafeFileHandle, Owner);
            JsonSerializer.Serialize(file, value, type);
        });
    }

    /// <summary>Makes the file's folder where it is not there, for the owner alone.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void MakeFolder(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (Directory.Exists(folder)) return;
        WholeFiles.Guard(folder, () =>
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
            else Directory.CreateDirectory(folder, Owner | UnixFileMode.UserExecute);
        });
    }
}
