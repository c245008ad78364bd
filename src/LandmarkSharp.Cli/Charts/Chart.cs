namespace LandmarkSharp.Cli.Charts;

/// <summary>Curves over one pair of axes, however they are drawn.</summary>
internal sealed class Chart
{
    /// <summary>Fits the axes.</summary>
    /// <param name="curves">The curves, those without points left out.</param>
    /// <param name="across">What the x axis is.</param>
    /// <param name="up">What the y axis is.</param>
    /// <param name="isLog">Whether y's is logarithmic.</param>
    /// <param name="isLogAcross">Whether x's is; its numbers are then above 0.</param>
    /// <exception cref="LandmarkException">A number cannot lie on a logarithmic axis.</exception>
    public Chart(IEnumerable<Curve> curves, string across, string up, bool isLog = false, bool isLogAcross = false)
    {
        (Curves, Across, Up) = ([.. curves.Where(c => c.Points.Count > 0)], across, up);
        var points = Curves.SelectMany(c => c.Points).ToArray();
        if (isLog && points.FirstOrDefault(p => p.Y <= 0, (0, 1)).Y is var least and <= 0)
            throw new LandmarkException($"The {up} is {least} somewhere, which no logarithmic axis has; leave out --log.");
        (X, Y) = (new Axis(points.Select(p => p.X), isLogAcross), new Axis(points.Select(p => p.Y), isLog));
    }

    /// <summary>The curves.</summary>
    public IReadOnlyList<Curve> Curves { get; }

    /// <summary>What the x axis is.</summary>
    public string Across { get; }

    /// <summary>What the y axis is.</summary>
    public string Up { get; }

    /// <summary>The x axis.</summary>
    public Axis X { get; }

    /// <summary>The y axis.</summary>
    public Axis Y { get; }

    /// <summary>A curve's letter, by which it is known without colours.</summary>
    public static char Letter(int curve) => (char)('A' + (curve % 26));
}
