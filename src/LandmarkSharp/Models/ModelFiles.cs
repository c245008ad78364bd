using System.Text.Json;
using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>What lies in a model's folder beside its weights, and folders that a model is written to.</summary>
internal static class ModelFiles
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

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
                && name is not (WeightDifference.SumFile or LoraConfigFile.Name) && !OfRuns.Contains(name))
                File.Copy(file, Path.Combine(to, name), overwrite: true);
        }
    }

    /// <summary>Has a folder's configuration say of what type its weights are.</summary>
    public static void SayType(string folder, ScalarType type)
    {
        var path = Path.Combine(folder, ConfigFile.Name);
        var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json[json.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = type.ToString().ToLowerInvariant();
        File.WriteAllText(path, json.ToJsonString(Indented) + "\n");
    }

    /// <summary>Writes a model beside a folder that is new or empty, and renames it: what has the folder's name is whole, whatever happens.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="write">Writes into the folder that it is given.</param>
    /// <exception cref="LandmarkException">The folder has files already, or the disk refuses.</exception>
    public static void WriteNew(string folder, Action<string> write)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
            throw new LandmarkException($"There are files in {folder} already; give a new folder to write to.");
        WholeFiles.WriteFolder(Path.TrimEndingDirectorySeparator(folder), write);
    }
}
