namespace LandmarkSharp.Models;

/// <summary>What lies in a model's folder beside its weights, and folders that a model is written to.</summary>
internal static class ModelFiles
{
    private static readonly string[] Kinds = [".json", ".model", ".txt", ".jinja"];

    /// <summary>What a run leaves beside checkpoints and its best model.</summary>
    private static readonly string[] OfRuns = ["recipe.json", "validation.json"];

    /// <summary>Copies configuration, tokenizer and templates.</summary>
    /// <param name="from">The model's folder.</param>
    /// <param name="to">A folder that is there.</param>
    public static void CopyBeside(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from))
        {
            var name = Path.GetFileName(file);
            if (Kinds.Contains(Path.GetExtension(name)) && !name.EndsWith(".index.json", StringComparison.Ordinal)
                && name is not (WeightDifference.SumFile or LoraFolder.ConfigName) && !OfRuns.Contains(name))
                File.Copy(file, Path.Combine(to, name), overwrite: true);
        }
    }

    /// <summary>Writes a model into a folder that is new or empty, and takes all of it away again when that fails.</summary>
    /// <exception cref="LandmarkException">The folder has files already.</exception>
    public static void WriteNew(string folder, Action write)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
            throw new LandmarkException($"There are files in {folder} already; give a new folder to write to.");
        try
        {
            write();
        }
        catch
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            throw;
        }
    }
}
