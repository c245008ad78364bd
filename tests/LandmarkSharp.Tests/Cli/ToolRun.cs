using System.Text.Json;

namespace LandmarkSharp.Tests.Cli;

/// <summary>How a run of the tool ended.</summary>
/// <param name="Code">Its exit code.</param>
/// <param name="Output">What it wrote for its caller.</param>
/// <param name="Error">What it wrote of errors.</param>
internal sealed record ToolRun(int Code, string Output, string Error)
{
    /// <summary>The lines of JSON of a run that went well.</summary>
    public JsonElement[] Lines
    {
        get
        {
            Assert.True(Code == 0, $"exit code {Code}: {Error}");
            Assert.Empty(Error);
            return [.. Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];
        }
    }

    /// <summary>The one line of JSON of a run that went well.</summary>
    public JsonElement Json => Assert.Single(Lines);

    /// <summary>Checks that the run failed with one sentence for people, and with nothing for whoever reads its output.</summary>
    /// <param name="part">What the sentence says.</param>
    /// <param name="code">The exit code: 1, or 2 where the command line itself is wrong.</param>
    public void Says(string part, int code = 1)
    {
        Assert.False(Error.StartsWith('{'), Error);
        Check(Error, part, code);
    }

    /// <summary>The same for a program: the sentence stands in a JSON object, alone.</summary>
    /// <inheritdoc cref="Says"/>
    public void SaysAsJson(string part, int code = 1)
    {
        var field = Assert.Single(Parse(Error).EnumerateObject());
        Assert.Equal("error", field.Name);
        Assert.EndsWith("}\n", Error);
        Check(field.Value.GetString() + "\n", part, code);
    }

    /// <summary>A line of JSON.</summary>
    public static JsonElement Parse(string line)
    {
        using var document = JsonDocument.Parse(line);
        return document.RootElement.Clone();
    }

    private void Check(string said, string part, int code)
    {
        Assert.Contains(part, said, StringComparison.Ordinal);
        Assert.Equal(code, Code);
        Assert.Empty(Output);
        Assert.Equal(said.Length - 1, said.IndexOf('\n', StringComparison.Ordinal));
        Assert.EndsWith(".\n", said);
        Assert.DoesNotMatch("[.!?] +[A-Z]", said);                   // a second sentence
        Assert.Matches("[;:] ", said);                               // what is wrong; what to do
        Assert.DoesNotContain("should not have happened", said, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", said, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", said, StringComparison.Ordinal);
    }
}
