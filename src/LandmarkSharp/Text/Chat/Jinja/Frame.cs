namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Where a part of a template is rendered: the names it sees, and where its text goes.</summary>
/// <param name="meter">The rendering's.</param>
/// <param name="output">Where text goes.</param>
/// <param name="outer">The frame around it, whose names are seen here unless set here; null for the template itself.</param>
internal sealed class Frame(Meter meter, TextBuilder output, Frame? outer)
{
    private readonly Dictionary<string, object?> names = new(StringComparer.Ordinal);

    public Meter Meter => meter;

    public TextBuilder Output => output;

    /// <summary>A frame inside this one: what is set there is forgotten with it.</summary>
    public Frame Inner(TextBuilder? into = null) => new(meter, into ?? output, this);

    public void Set(string name, object? value) => names[name] = value;

    public object? Get(string name)
    {
        for (var frame = this; frame is not null; frame = frame.Outer)
            if (frame.names.TryGetValue(name, out var value)) return value;
        return Functions.Find(name, meter) ?? (object)new Undefined($"'{name}' is undefined");
    }

    private Frame? Outer => outer;
}
