using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;

namespace LandmarkSharp.Cli;

/// <summary>Numbers of bytes as people write them.</summary>
internal static partial class ByteSize
{
    private const string Units = "KMGT";

    /// <summary>Reads "1048576", "64MiB" or "2 GB"; of those without an i a thousand is a thousand.</summary>
    /// <exception cref="LandmarkException">It is no such number.</exception>
    public static long Parse(string text, Option option)
    {
        var match = Written().Match(text);
        if (match.Success)
        {
            var number = decimal.Parse(match.Groups["number"].ValueSpan, CultureInfo.InvariantCulture);
            var steps = match.Groups["unit"] is { Success: true } unit ? Units.IndexOf(unit.Value, StringComparison.OrdinalIgnoreCase) + 1 : 0;
            for (var i = 0; i < steps && number <= long.MaxValue; i++) number *= match.Groups["binary"].Success ? 1024 : 1000;
            if (number <= long.MaxValue) return (long)number;
        }
        throw new LandmarkException($"'{text}' is no number of bytes; {option.Name} takes such as 67108864, 64MiB or 1.5GB.");
    }

    /// <summary>As a person likes to read it.</summary>
    public static string Text(long bytes) => bytes switch
    {
        < 10_000 => $"{bytes:N0} bytes",
        < 10_000_000 => $"{bytes / 1e3:N0} KB",
        < 10_000_000_000 => $"{bytes / 1e6:N0} MB",
        _ => $"{bytes / 1e9:N1} GB",
    };

    [GeneratedRegex(@"^(?<number>[0-9]{1,19}(\.[0-9]{1,9})?) ?((?<unit>[KMGT])(?<binary>i)?)?B?$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Written();
}
