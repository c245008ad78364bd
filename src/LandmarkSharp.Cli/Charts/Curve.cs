namespace LandmarkSharp.Cli.Charts;

/// <summary>A line of a chart.</summary>
/// <param name="Name">What its legend says.</param>
/// <param name="Points">Its points, in the order of x.</param>
internal sealed record Curve(string Name, IReadOnlyList<(double X, double Y)> Points)
{
    /// <summary>The curve in so many points at most: means over equal stretches, for a step's loss jumps more than it falls.</summary>
    public Curve Smoothed(int most)
    {
        if (Points.Count <= most) return this;
        var (from, width) = (Points[0].X, (Points[^1].X - Points[0].X) / most);
        return this with
        {
            Points = [.. Points.GroupBy(p => (int)Math.Min(most - 1, (p.X - from) / width))
                .Select(g => (g.Average(p => p.X), g.Average(p => p.Y)))],
        };
    }
}
