using System.Text.Json;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli;

/// <summary>Runs side by side: a row for what differs, a column for each run.</summary>
internal static class RunDifferences
{
    /// <summary>Fields of the recipe, and of what else decides what a run computes, in which the runs are not alike.</summary>
    public static IReadOnlyList<(string Field, string?[] Values)> Of(IReadOnlyList<RunFolder> runs)
    {
        var fields = runs.Select(r => r.Record is { } record ? Fields(record) : []).ToArray();
        return [.. fields.SelectMany(f => f.Keys).Distinct()
            .Select(name => (name, fields.Select(f => f.GetValueOrDefault(name)).ToArray()))
            .Where(row => row.Item2.Distinct().Count() > 1)];
    }

    /// <summary>How the runs went: their last numbers, of what is told of every step means over the last ones.</summary>
    public static IReadOnlyList<(string Field, string?[] Values)> Results(IReadOnlyList<RunFolder> runs)
    {
        (string Field, Func<RunFolder, string?> Value)[] rows =
        [
            ("state", r => r.State.ToString().ToLowerInvariant()),
            ("step", r => $"{r.Step}"),
            ("positions", r => Axis.Label(r.Positions)),
            .. runs.SelectMany(r => r.Metrics.Names).Distinct().Where(n => n is not ("positions" or "rate")).Select(name =>
                (name, (Func<RunFolder, string?>)(r => Last(r, name)))),
            ("best held out", r => r.Best is { } best ? $"{best.Loss:F4} at {best.Step}" : null),
            ("positions a second", r => r.PositionsPerSecond is { } speed ? Axis.Label(speed) : null),
            ("hours", r => r.Duration is { TotalSeconds: > 0 and var seconds } ? $"{seconds / 3600:G3}" : null),
        ];
        return [.. rows.Select(row => (row.Field, Values: runs.Select(row.Value).ToArray()))
            .Where(row => row.Values.Any(v => v is not null))];
    }

    private static string? Last(RunFolder run, string metric) =>
        run.Metrics.Recent(metric, metric.StartsWith("validation", StringComparison.Ordinal) ? 1 : 20) is { } value ? $"{value:F4}" : null;

    private static Dictionary<string, string?> Fields(RunRecord record)
    {
        var fields = new Dictionary<string, string?>(StringComparer.Ordinal);
        Flatten("", record.Recipe, fields);
        fields["parameters"] = Axis.Label(record.Parameters);
        fields["tokenizer"] = Short(record.TokenizerFingerprint);
        fields["shards"] = Short(record.Shards.Fingerprint);
        fields["validation shards"] = record.Validation is { } held ? Short(held.Fingerprint) : null;
        fields["fine-tuned from"] = record.Base;
        fields["started from"] = record.StartFrom;
        if (record.Sessions is [.., var last])
        {
            fields["devices"] = string.Join(", ", last.Devices);
            fields["version"] = last.Version.Split('+') is [var number, var commit] ? $"{number}+{Short(commit)}" : last.Version;
            fields["libtorch"] = last.LibTorch;
        }
        return fields;
    }

    private static string Short(string fingerprint) => fingerprint[..Math.Min(9, fingerprint.Length)];

    private static void Flatten(string name, JsonElement value, Dictionary<string, string?> fields)
    {
        if (value.ValueKind == JsonValueKind.Object)
            foreach (var field in value.EnumerateObject())
                Flatten(name.Length == 0 ? field.Name : $"{name}.{field.Name}", field.Value, fields);
        else if (value.ValueKind == JsonValueKind.Array)
            foreach (var (i, item) in value.EnumerateArray().Index()) Flatten($"{name}[{i}]", item, fields);
        else if (value.ValueKind != JsonValueKind.Null)
            fields[name] = value.ToString();
    }
}
