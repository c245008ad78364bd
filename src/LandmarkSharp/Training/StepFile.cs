using System.Text;
using System.Text.Json;

namespace LandmarkSharp.Training;

/// <summary>A file of JSON lines, each of a step: a run that goes on from a step writes them on from there.</summary>
internal sealed class StepFile : IDisposable
{
    private readonly string path;
    private readonly FileStream file;

    /// <summary>Opens the file; lines after <paramref name="step"/> are of work that was lost, and go.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public StepFile(string path, long step)
    {
        this.path = path;
        var kept = File.Exists(path) ? File.ReadAllLines(path).Where(l => Step(l) <= step) : [];
        WholeFiles.Write(path, string.Concat(kept.Select(l => l + "\n")));
        // Without a buffer: what could not be written is not tried again.
        file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }

    /// <summary>Adds lines, which a kill of the process leaves.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Add<T>(IEnumerable<T> lines)
    {
        var text = string.Concat(lines.Select(line => JsonSerializer.Serialize(line, RunJson.Line) + "\n"));
        WholeFiles.Guard(path, () => file.Write(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>Has all of it on the disk: a power cut leaves it.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Sync() => WholeFiles.Guard(path, () => file.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

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
