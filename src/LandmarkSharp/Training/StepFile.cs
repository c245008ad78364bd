using System.Text.Json;

namespace LandmarkSharp.Training;

/// <summary>A file of JSON lines, each of a step: a run that goes on from a step writes them on from there.</summary>
internal sealed class StepFile : IDisposable
{
    private readonly StreamWriter writer;

    /// <summary>Opens the file; lines after <paramref name="step"/> are of work that was lost, and go.</summary>
    public StepFile(string path, long step)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var kept = File.Exists(path) ? File.ReadAllLines(path).Where(l => Step(l) <= step).ToArray() : [];
        File.WriteAllLines(path + ".partial", kept);
        File.Move(path + ".partial", path, overwrite: true);
        writer = new StreamWriter(path, append: true);
    }

    /// <summary>Adds lines and puts them on the disk.</summary>
    public void Add<T>(IEnumerable<T> lines)
    {
        foreach (var line in lines) writer.WriteLine(JsonSerializer.Serialize(line, RunJson.Line));
        writer.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => writer.Dispose();

    /// <summary>A line's step; a line that a kill cut short is past every step.</summary>
    private static long Step(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<Numbered>(line, RunJson.Line)?.Step ?? long.MaxValue;
        }
        catch (JsonException)
        {
            return long.MaxValue;
        }
    }

    private sealed record Numbered
    {
        public required long Step { get; init; }
    }
}
