using System.Globalization;

namespace LandmarkSharp.Cli.Charts;

/// <summary>An axis of a chart: where numbers lie on it, and where it has marks.</summary>
internal sealed class Axis
{
    private readonly double low, high;
    private readonly bool isLog;

    /// <summary>An axis that holds all numbers.</summary>
    /// <param name="numbers">At least one.</param>
    /// <param name="isLog">Whether equal lengths are equal ratios; numbers are then above 0.</param>
    public Axis(IEnumerable<double> numbers, bool isLog = false)
    {
        this.isLog = isLog;
        (low, high) = numbers.Aggregate((Low: double.MaxValue, High: double.MinValue), (r, n) => (Math.Min(r.Low, n), Math.Max(r.High, n)));
        if (low < high) return;
        var room = low == 0 ? 1 : Math.Abs(low) / 2;    // a single number stands in the middle
        (low, high) = (low - room, high + room);
    }

    /// <summary>Where a number lies, from 0 at the axis' beginning to 1 at its end.</summary>
    public double At(double number) => isLog
        ? Math.Log(number / low) / Math.Log(high / low)
        : (number - low) / (high - low);

    /// <summary>Round numbers on the axis.</summary>
    /// <param name="about">How many, about.</param>
    public IReadOnlyList<double> Marks(int about)
    {
        if (isLog)
        {
            double[] marks = [.. Enumerable.Range((int)Math.Floor(Math.Log10(low)), (int)Math.Ceiling(Math.Log10(high / low)) + 2)
                .SelectMany(e => (double[])[Math.Pow(10, e), 2 * Math.Pow(10, e), 5 * Math.Pow(10, e)]).Where(Inside)];
            if (marks.Length >= 3) return marks;
        }
        var rough = (high - low) / Math.Max(1, about);
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = power * (rough / power) switch { < 1.5 => 1, < 3.5 => 2, < 7.5 => 5, _ => 10 };
        return [.. Enumerable.Range(0, 50).Select(i => (Math.Ceiling(low / step) + i) * step).TakeWhile(Inside)];
    }

    /// <summary>A number in few characters: 1.5k for 1,500.</summary>
    public static string Label(double number) => Math.Abs(number) switch
    {
        >= 1e12 => Short(number / 1e12) + "T",
        >= 1e9 => Short(number / 1e9) + "G",
        >= 1e6 => Short(number / 1e6) + "M",
        >= 1e3 => Short(number / 1e3) + "k",
        _ => Short(number),
    };

    private static string Short(double number) => number.ToString("G4", CultureInfo.InvariantCulture);

    // A mark at the very end, but for rounding, is on the axis.
    private bool Inside(double number) => number >= low - ((high - low) * 1e-9) && number <= high + ((high - low) * 1e-9);
}
