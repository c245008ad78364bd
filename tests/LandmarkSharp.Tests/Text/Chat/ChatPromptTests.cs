using System.Text;
using System.Text.Json;
using CsCheck;
using LandmarkSharp.Text;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Tests.Text.Chat;

/// <summary>Which parts of a prompt came from outside, and that none of them becomes a special token.</summary>
public sealed class ChatPromptTests
{
    private const string Turns =
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content|trim + '<|im_end|>\n' }}{% endfor %}<|im_start|>assistant";

    private const int Start = 300, End = 301, LongEnd = 302;

    private static readonly Tokenizer Marked = new(HuggingFaceTokenizer.Read(
        Encoding.UTF8.GetBytes(TokenizerBuilder.ByteLevelJson(["h e", "l l"], added:
            """
            [{"id":300,"content":"<|im_start|>","special":true},{"id":301,"content":"<|im_end|>","special":true},
            {"id":302,"content":"<|im_end|>2","special":true},{"id":303,"content":"[x]","special":false}]
            """)),
        "t.json"));

    private static readonly Gen<string> Content =
        Gen.String[Gen.Char["ab <|>im_startend2[x]\n é"], 0, 12].Select(
            One("", "<|im_end|>", "<|im_start|>", "<|im_end|>2", "<|im_", "[x]", "2", "😀"), (a, b) => a + b).Array[0, 3].Select(string.Concat);

    private static readonly Gen<ChatMessage[]> Messages =
        Content.Select(One("user", "assistant", "<|im_end|>"), (content, role) => new ChatMessage(role, content)).Array[0, 4];

    [Fact]
    public void AMessageNeverGivesASpecialToken() => Messages.Sample(messages =>
    {
        var prompt = ChatTemplate.Parse(Turns).Render(messages);
        var ids = prompt.Encode(Marked);
        Assert.Equal([.. messages.SelectMany(_ => new[] { Start, End }), Start], ids.Where(Marked.IsSpecial));
        // All else is there as text.
        var said = messages.Select(m => $"{m.Role}\n{m.Json.GetProperty("content").GetString()!.Trim()}\n");
        Assert.Equal(string.Concat(said) + "assistant", Marked.Decode(ids));
    });

    [Fact]
    public void TextWithoutMarksHasTheTokensOfTheWholePrompt() => Gen.String[Gen.Char["abhel [x]\n é2"], 0, 30].Array[0, 4].Sample(contents =>
    {
        var prompt = ChatTemplate.Parse(Turns).Render([.. contents.Select(c => new ChatMessage("user", c))]);
        Assert.Equal(Marked.Encode(prompt.Text, parseSpecial: true), prompt.Encode(Marked));
    });

    [Fact]
    public void AMarkEndsWhereTheTemplateEndsIt()
    {
        var prompt = ChatTemplate.Parse("<|im_end|>{{ messages[0].content }}<|im_end|>2").Render([new("user", "2")]);
        Assert.Equal([End, .. Marked.Encode("2"), LongEnd], prompt.Encode(Marked));
        Assert.Equal([LongEnd, LongEnd], Marked.Encode(prompt.Text, parseSpecial: true));
    }

    [Theory]
    [InlineData("a{{ s }}b", "a[x<y>Z]b")]
    [InlineData("{{ ' ' ~ s ~ 1 }}", " [x<y>Z]1")]
    [InlineData("{{ (s + '!')|upper }}", "[X<Y>Z]!")]
    [InlineData("{{ s.split('<')[1] + s[0] + s[::-1] }}", "[y>ZxZ>y<x]")]
    [InlineData("{{ s|replace('y', '--') }}", "[x<]--[>Z]")]
    [InlineData("{{ 'a.b'|replace('.', s) }}", "a[x<y>Z]b")]
    [InlineData("{{ [s, 'own']|join(', ') }}", "[x<y>Z], own")]
    [InlineData("{{ {'k': [s, 2, none]}|tojson }}", "{\"k\": [[\"x<y>Z\"], 2, null]}", "\"x<y>Z\"")]
    [InlineData("{{ [s, 'a'] }}", "[['x<y>Z'], 'a']", "'x<y>Z'")]
    [InlineData("{{ d }}", "{['key']: ['<v>']}", "'key'")]
    [InlineData("{% set x %}<{{ s|capitalize }}>{% endset %}{{ x|indent(first=true) }}", "    <[X<y>z]>")]
    [InlineData("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(s|trim('Z'))|title }}", "<[X<Y>]>")]
    [InlineData("{{ '{} {}'.format(s, 1) + '|'.join(d.keys()) + s|list|last + '%d' }}", "[x<y>Z] 1[keyZ]%d")]
    [InlineData("{{ 'own' if s == 'x<y>Z' }}{{ s|length }}{{ s in ['x<y>Z'] }}", "own5True")]
    [InlineData("{{ ('<'|safe + s) ~ s|string|safe }}", "<[x&lt;y&gt;Zx<y>Z]")]
    public void WhatWasGivenIsKnownThroughAllThatIsDoneWithIt(string template, string marked, string? given = null)
    {
        using var json = JsonDocument.Parse("""{"s":"x<y>Z","d":{"key":"<v>"}}""");
        var prompt = ChatTemplate.Parse(template).Render([], variables: json.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value));
        var found = new StringBuilder(prompt.Text);
        foreach (var range in prompt.Given.Reverse()) found.Insert(range.End.Value, ']').Insert(range.Start.Value, '[');
        Assert.Equal(marked, found.ToString());
        if (given is not null) Assert.Equal(given, prompt.Text[prompt.Given[0]]);
    }

    [Fact]
    public void MarksThatTheTemplateNamesAreItsOwn()
    {
        var prompt = ChatTemplate.Parse("{{ bos_token }}{{ messages[0].content }}", new Dictionary<string, string> { ["bos_token"] = "<|im_start|>" })
            .Render([new("user", "<|im_start|>")]);
        Assert.Equal(Start, Assert.Single(prompt.Encode(Marked), Marked.IsSpecial));
    }

    private static Gen<string> One(params string[] of) => Gen.Int[0, of.Length - 1].Select(i => of[i]);
}
