namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>A template that has been read, and what errors call it.</summary>
internal sealed class TemplateProgram
{
    private readonly Statement body;
    private readonly string name;

    private TemplateProgram(Statement body, string name) => (this.body, this.name) = (body, name);

    public static TemplateProgram Parse(string text, string name)
    {
        try
        {
            return new TemplateProgram(StatementParser.Parse(text), name);
        }
        catch (JinjaException e)
        {
            throw new LandmarkException($"{name}, line {e.Line}: {e.Message}.", e);
        }
    }

    /// <summary>Renders the template with these names set.</summary>
    public TaintedText Render(IReadOnlyDictionary<string, object?> names, Meter meter)
    {
        var output = new TextBuilder(meter);
        var context = new Frame(meter, output, outer: null);
        foreach (var (variable, value) in names) context.Set(variable, value);
        try
        {
            body.Execute(context);
        }
        catch (JinjaException e)
        {
            throw new LandmarkException($"{name}, line {meter.Line}: {e.Message}.", e);
        }
        return output.ToText();
    }
}
