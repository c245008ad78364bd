using System.Text.Json;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Tests.Text.Chat;

/// <summary>What jinja2 renders in transformers' environment (eng/chat-template-cases.py), and what it refuses.</summary>
public sealed class ChatTemplateGoldenTests
{
    private static readonly Dictionary<string, string> Marks = new() { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };

    [Fact]
    public void ConversationsAreWrittenTheSame() => Check("conversations.jsonl", c =>
    {
        var template = ChatTemplate.Parse(File.ReadAllText(Golden.Path("chat", c.GetProperty("template").GetString()!)), Marks);
        var tools = c.GetProperty("tools");
        return template.Render(
            [.. c.GetProperty("messages").EnumerateArray().Select(ChatMessage.FromJson)],
            c.GetProperty("add_generation_prompt").GetBoolean(),
            tools.ValueKind == JsonValueKind.Null ? null : tools,
            c.GetProperty("variables").EnumerateObject().ToDictionary(p => p.Name, p => p.Value),
            clock: new FixedTime());
    });

    [Theory]
    [InlineData("expressions.jsonl")]
    [InlineData("statements.jsonl")]
    public void RandomTemplatesRenderTheSame(string file)
    {
        using var variables = JsonDocument.Parse(File.ReadAllText(Golden.Path("chat", "variables.json")));
        var given = variables.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value);
        Check(file, c => ChatTemplate.Parse(c.GetProperty("template").GetString()!).Render([], variables: given));
    }

    [Theory]
    [InlineData("%d %b %Y", "05 Mar 2026")]
    [InlineData("%A, %B %-d, %y at %-I:%M %p", "Thursday, March 5, 26 at 2:07 PM")]
    [InlineData("%F %T (%j, %u%w, %e) %a %H:%S %%", "2026-03-05 14:07:09 (064, 44,  5) Thu 14:09 %")]
    public void TheTimeIsWrittenAsByC(string format, string written) =>
        Assert.Equal(written, ChatTemplate.Parse("{{ strftime_now('" + format + "') }}").Render([], clock: new FixedTime()).Text);

    // A template whose part is not known here may be refused where jinja2 renders it; never may it render otherwise.
    private static void Check(string file, Func<JsonElement, ChatPrompt> render)
    {
        var (count, unknown, wrong) = (0, 0, new List<string>());
        foreach (var line in File.ReadLines(Golden.Path("chat", file)))
        {
            using var document = JsonDocument.Parse(line);
            var expected = document.RootElement.GetProperty("expected").GetString();
            count++;
            try
            {
                var prompt = render(document.RootElement);
                if (prompt.Text != expected) wrong.Add($"{line}\nrendered {JsonSerializer.Serialize(prompt.Text)}");
            }
            catch (LandmarkException e)
            {
                if (expected is null) continue;
                if (e.Message.Contains("not supported", StringComparison.Ordinal)) unknown++;
                else wrong.Add($"{line}\nrefused: {e.Message}");
            }
        }
        Assert.Empty(wrong);
        Assert.InRange(count, 100, int.MaxValue);
        Assert.InRange(unknown, 0, count / 50);
    }

    private sealed class FixedTime : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new(2026, 3, 5, 14, 7, 9, TimeSpan.Zero);
    }
}
