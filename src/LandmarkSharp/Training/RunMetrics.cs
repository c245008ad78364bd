using System.Runtime.InteropServices;
using System.Text.Json;

namespace LandmarkSharp.Training;

/// <summary>A number of a run's metrics.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Positions">Positions trained on by then.</param>
/// <param name="Value">The number.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct MetricPoint(long Step, long Positions, double Value);

/// <summary>A run's metrics.jsonl, number by number: whatever a line has is a metric by its name there.</summary>
public sealed class RunMetrics
{
    private readonly Dictionary<string, List<MetricPoint>> metrics = new(StringComparer.Ordinal);

    private RunMetrics() { }

    /// <summary>The metrics that there are.</summary>
    public IReadOnlyCollection<string> Names => metrics.Keys;

    /// <summary>The last step that was reported; 0 before.</summary>
    public long LastStep { get; private set; }

    /// <summary>A metric's curve; empty where there is none of the name.</summary>
    public IReadOnlyList<MetricPoint> this[string name] => metrics.GetValueOrDefault(name) ?? [];

    /// <summary>The mean of a metric's newest numbers, as one step's jumps; null where there are none.</summary>
    /// <param name="name">The metric.</param>
    /// <param name="most">Numbers at most.</param>
    public double? Recent(string name, int most = 20) => this[name] is { Count: > 0 } all ? all.TakeLast(most).Average(p => p.Value) : null;

    internal BestModel? Best(string name) => this[name] is { Count: > 0 } all && all.MinBy(p => p.Value) is var least
        ? new BestModel(least.Step, least.Value)
        : null;

    /// <summary>Reads the file; none is a run that has not reported yet, and a last line that is not whole is being written.</summary>
    /// <exception cref="LandmarkException">A line is no metrics.</exception>
    internal static RunMetrics Read(string path)
    {
        var read = new RunMetrics();
        if (!File.Exists(path)) return read;
        var lines = File.ReadAllText(path).Split('\n');
        for (var (i, positions) = (0, 0L); i < lines.Length - 1; i++)
        {
            try
            {
                using var line = JsonDocument.Parse(lines[i]);
                var step = line.RootElement.GetProperty("step").GetInt64();
                if (line.RootElement.TryGetProperty("positions", out var now)) positions = now.GetInt64();
                read.LastStep = step;
                foreach (var number in line.RootElement.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Number))
                {
                    if (!read.metrics.TryGetValue(number.Name, out var curve)) read.metrics.Add(number.Name, curve = []);
                    curve.Add(new MetricPoint(step, positions, number.Value.GetDouble()));
                }
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new LandmarkException($"{path} is damaged in line {i + 1}; remove that line, or the file.", e);
            }
        }
        read.metrics.Remove("step");
        return read;
    }
}
