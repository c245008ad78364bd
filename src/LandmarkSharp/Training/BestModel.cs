using System.Globalization;
using System.Text.Json;

namespace LandmarkSharp.Training;

/// <summary>The model of a run's lowest held-out loss.</summary>
/// <param name="Step">Steps done when it was judged.</param>
/// <param name="Loss">Its held-out loss: of text, or of answers where there is no text.</param>
public sealed record BestModel(long Step, double Loss)
{
    internal const string Prefix = "best-";
    private const string LossFile = "validation.json";

    /// <summary>The first step of its stage. Stages judge in windows of their own length, so their losses do not compare: the later one's best counts.</summary>
    public long Stage { get; init; }

    /// <summary>Its folder, below the run's.</summary>
    public string Folder => Prefix + Step.ToString("D8", CultureInfo.InvariantCulture);

    /// <summary>The best that a run's folder holds; null for none.</summary>
    public static BestModel? Of(string folder) => All(folder).OrderByDescending(m => m.Stage).ThenBy(m => m.Loss).FirstOrDefault();

    /// <summary>
    /// Keeps the model if it is better than the one kept, written beside and renamed before that one goes: there is a whole one
    /// whatever happens.
    /// </summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="export">Writes the model into a folder.</param>
    /// <returns>The best of the two.</returns>
    public BestModel Keep(string folder, Action<string> export)
    {
        // Of its own step it may have been kept by work that was then lost and done again.
        if (Of(folder) is { } kept && (kept.Step == Step || kept.Stage > Stage || (kept.Stage == Stage && kept.Loss <= Loss))) return kept;
        var path = Path.Combine(folder, Folder);
        WholeFiles.WriteFolder(path, partial =>
        {
            export(partial);
            File.WriteAllText(Path.Combine(partial, LossFile), JsonSerializer.Serialize(this, RunJson.Line));
        });
        foreach (var old in Folders(folder).Where(f => f != path)) WholeFiles.RemoveFolder(old);
        return this;
    }

    /// <summary>Removes what a run kept that begins anew.</summary>
    public static void Clear(string folder)
    {
        foreach (var old in Folders(folder)) WholeFiles.RemoveFolder(old);
    }

    private static string[] Folders(string folder) => !Directory.Exists(folder) ? [] :
        [.. Directory.EnumerateDirectories(folder, Prefix + "*")
            .Where(f => long.TryParse(Path.GetFileName(f)[Prefix.Length..], NumberStyles.None, null, out _))];

    private static IEnumerable<BestModel> All(string folder)
    {
        foreach (var path in Folders(folder))
        {
            BestModel? model = null;
            try
            {
                model = JsonSerializer.Deserialize<BestModel>(File.ReadAllText(Path.Combine(path, LossFile)), RunJson.Line);
            }
            catch (Exception e) when (e is JsonException or FileNotFoundException or DirectoryNotFoundException)
            {
                // No folder of ours, or one that is being removed.
            }
            if (model is not null && Path.GetFileName(path) == model.Folder) yield return model;
        }
    }
}
