namespace LandmarkSharp.Cli;

/// <summary>A file that a command is to write at its end.</summary>
internal static class OutputFile
{
    /// <summary>Refuses one that cannot be, before the work that it is to hold.</summary>
    public static string Checked(string path)
    {
        if (path.Length == 0) throw new LandmarkException("The name of the file to write is empty; give one.");
        if (Directory.Exists(path)) throw new LandmarkException($"'{path}' is a folder; give a file to write.");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Directory.Exists(folder) ? path : throw new LandmarkException($"There is no folder '{folder}' to write in; make it, or give another.");
    }
}
