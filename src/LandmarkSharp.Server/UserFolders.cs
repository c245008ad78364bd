namespace LandmarkSharp.Server;

/// <summary>Where a user's files are kept, by the convention of XDG.</summary>
public static class UserFolders
{
    /// <summary>The folder of memories where none is named; null where the environment names no folder.</summary>
    public static string? Memories => In("XDG_DATA_HOME", [".local", "share"], "landmark", "memories");

    /// <summary>The file of keys where none is named; null where the environment names no folder.</summary>
    public static string? Keys => In("XDG_CONFIG_HOME", [".config"], "landmark", "keys.json");

    private static string? In(string variable, string[] underHome, params string[] path)
    {
        // The convention says that a relative path counts as none.
        static string? Rooted(string variable) =>
            Environment.GetEnvironmentVariable(variable) is { } folder && Path.IsPathRooted(folder) ? folder : null;
        var folder = Rooted(variable) ?? (Rooted("HOME") is { } home ? Path.Combine([home, .. underHome]) : null);
        return folder is null ? null : Path.Combine([folder, .. path]);
    }
}
