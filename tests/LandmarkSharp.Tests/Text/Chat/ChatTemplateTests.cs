using System.Text.Json;
using LandmarkSharp.Text;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Tests.Text.Chat;

/// <summary>Templates as checkpoints hold them, and what is said of those that cannot be rendered.</summary>
public sealed class ChatTemplateTests : IDisposable
{
    private static readonly ChatMessage[] Hello = [new("user", "hello")];

    private const string Nested =
        "{% set ns = namespace(a=[], b=[]) %}{% for i in range(99999) %}{% set ns.a, ns.b = [[[[ns.a]]]], [[[[ns.b]]]] %}{% endfor %}";

    private const string Doubled =
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set ns.a, ns.b = [ns.a, ns.a], [ns.b, ns.b] %}{% endfor %}";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void ACheckpointMayHaveNone()
    {
        Fails("There is no model folder", () => ChatTemplate.Load(folder["missing"]));
        Assert.Null(ChatTemplate.Load(folder.Path));
        folder.Write("tokenizer_config.json", """{"bos_token":"<s>","chat_template":null}""");
        Assert.Null(ChatTemplate.Load(folder.Path));
    }

    [Fact]
    public void TheTemplateIsInTheConfigurationOrBesideIt()
    {
        folder.Write("special_tokens_map.json", """{"bos_token":"<old>","eos_token":{"content":"</s>"},"unk_token":"<unk>"}""");
        folder.Write("tokenizer_config.json",
            """{"bos_token":"<s>","unk_token":null,"chat_template":"{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ unk_token }}"}""");
        Assert.Equal("<s>hello</s>", ChatTemplate.Load(folder.Path)!.Render(Hello).Text);
        folder.Write("chat_template.jinja", "Own:\n{{ messages[0].content }}\n");
        Assert.Equal("Own:\nhello", ChatTemplate.Load(folder.Path)!.Render(Hello).Text);
        folder.Write("additional_chat_templates/rag.jinja", "{{ documents|length }} documents");
        var template = ChatTemplate.Load(folder.Path)!;
        Assert.Equal(["default", "rag"], template.Names);
        var documents = new Dictionary<string, JsonElement> { ["documents"] = JsonSerializer.SerializeToElement(new[] { 1, 2 }) };
        Assert.Equal("2 documents", template.Render(Hello, variables: documents, name: "rag").Text);

        using var copy = new TemporaryFolder();
        folder.Write("tokenizer.json", TokenizerBuilder.ByteLevelJson([]));
        TokenizerFiles.Copy(folder.Path, copy.Path);
        Assert.Equal(["default", "rag"], ChatTemplate.Load(copy.Path)!.Names);
    }

    [Fact]
    public void AmongSeveralTheToolsChoose()
    {
        folder.Write("tokenizer_config.json",
            """{"chat_template":[{"name":"default","template":"plain"},{"name":"tool_use","template":"{{ tools|length }} tools"}]}""");
        var template = ChatTemplate.Load(folder.Path)!;
        Assert.Equal("plain", template.Render(Hello).Text);
        Assert.Equal("1 tools", template.Render(Hello, tools: JsonSerializer.SerializeToElement(new[] { new { type = "function" } })).Text);
        Fails("no chat template 'rag'; name one of default, tool_use", () => template.Render(Hello, name: "rag"));
        folder.Write("tokenizer_config.json", """{"chat_template":[{"name":"tool_use","template":"x"}]}""");
        Fails("no chat template 'default'", () => ChatTemplate.Load(folder.Path)!.Render(Hello));
    }

    [Theory]
    [InlineData("""{"chat_template":7}""", "neither a string nor a list")]
    [InlineData("""{"chat_template":[{"template":"x"}]}""", "cannot be read as JSON of its kind")]
    [InlineData("""{"chat_template":[{"name":"x","template":null}]}""", "cannot be read as JSON of its kind")]
    [InlineData("""{"chat_template":[{"name":null,"template":"x"}]}""", "cannot be read as JSON of its kind")]
    [InlineData("""{"chat_template":"{% if %}"}""", "The chat template in '")]
    public void DamagedFilesAreNamed(string config, string part)
    {
        var file = folder.Write("tokenizer_config.json", config);
        Fails(part, () => ChatTemplate.Load(folder.Path));
        Fails(file, () => ChatTemplate.Load(folder.Path));
    }

    [Theory]
    [InlineData("a\n{% if x %}\nb", "line 3: the template ends where 'endif' is expected")]
    [InlineData("a\n\n{{ 'b }}", "line 3: a string has no end")]
    [InlineData("\n{# b", "line 2: a comment has no end")]
    [InlineData("\n{% raw %}{% endif %}", "line 2: a raw block has no end")]
    [InlineData("\n{{ a ", "line 2: '{{' has no end")]
    [InlineData("\n{{ a b }}", "line 2: 'b' stands where '}}' is expected")]
    [InlineData("\n{{ (1 + ) }}", "line 2: ')' stands where an expression is expected")]
    [InlineData("\n{{ 1 ] }}", "line 2: ']' closes nothing")]
    [InlineData("\n{{ $ }}", "line 2: '$' means nothing here")]
    [InlineData("\n{% endfor %}", "line 2: there is no statement 'endfor' that may stand here")]
    [InlineData("\n{% include 'x' %}", "line 2: the statement 'include' is not supported")]
    [InlineData("\n{% for a in b recursive %}{% endfor %}", "line 2: a recursive loop is not supported")]
    [InlineData("\n{% break %}", "line 2: 'break' stands outside of a loop")]
    [InlineData("{% for a in b %}\n{% set x %}{% continue %}{% endset %}{% endfor %}", "line 2: 'continue' stands outside of a loop")]
    [InlineData("\n{% set true = 1 %}", "line 2: 'true' cannot be set")]
    [InlineData("\n{% macro m(a, a) %}{% endmacro %}", "line 2: the macro 'm' has two parameters 'a'")]
    [InlineData("\n{% macro m(a=1, b) %}{% endmacro %}", "line 2: the parameter 'b' needs a default")]
    [InlineData("\n{{ f(a=1, 2) }}", "line 2: '2' stands where an argument with a name is expected")]
    [InlineData("\n{{ f(*a) }}", "line 2: '*' before an argument is not supported")]
    [InlineData("\n{{ 99999999999999999999 }}", "line 2: a whole number of more than 64 bits is not supported")]
    [InlineData("\n{{ '\\N{BULLET}' }}", "line 2: a character by its name")]
    public void WhatIsNoTemplateIsRefusedWithItsLine(string template, string part) => Fails(part, () => ChatTemplate.Parse(template));

    [Theory]
    [InlineData("\n{{ messages|shuffle }}", "line 2: the filter 'shuffle' is not supported")]
    [InlineData("\n{{ messages is lovely }}", "line 2: the test 'lovely' is not supported")]
    [InlineData("\n{{ 'a'.center(3) }}", "line 2: 'center' of a string is not supported")]
    [InlineData("\n{{ cycler(1) }}", "line 2: 'cycler' is not supported")]
    [InlineData("\n{{ nothing.at.all }}", "line 2: 'nothing' is undefined")]
    [InlineData("\n{{ messages[0].content.role.x }}", "line 2: a string has no 'role'")]
    [InlineData("\n{{ messages[7].role }}", "line 2: a list has no item 7")]
    [InlineData("\n{{ 'a' + 1 }}", "line 2: '+' is not for a string and a whole number")]
    [InlineData("\n{{ messages.append(1) }}", "line 2: a list may not be changed, as 'append' would do")]
    [InlineData("\n{{ tools|length }}", "line 2: none has no length")]
    [InlineData("\n{{ 'x'.split('') }}", "line 2: a string is split at nothing")]
    [InlineData("\n{{ 'x'|replace('y') }}", "line 2: the filter 'replace' needs 'new'")]
    [InlineData("\n{{ 'x'|trim(fast=true) }}", "line 2: the filter 'trim' has no argument 'fast'")]
    [InlineData("\n{{ [3, 'a']|sort }}", "have no order")]
    [InlineData("\n{{ {'a': 2, 1: 3}|tojson(sort_keys=true) }}", "have no order")]
    [InlineData("{% set messages.x = 1 %}", "'messages' is no namespace")]
    [InlineData("{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}", "line 2: the macro 'm' is given 2 arguments, more than it takes")]
    [InlineData("{% for a, b in [[1, 2, 3]] %}{% endfor %}", "3 values are there for 2 names")]
    [InlineData("{{ raise_exception('Roles must alternate.') }}", "The model's chat template refuses these messages: Roles must alternate; send what it asks for.")]
    public void WhatCannotBeRenderedIsRefused(string template, string part) => Fails(part, () => ChatTemplate.Parse(template).Render(Hello));

    [Theory]
    [InlineData("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more is to be done")]
    [InlineData("{{ 'ab' * 1000000000 }}", "more is to be done")]
    [InlineData("{{ [0] * 1000000000 }}", "more is to be done")]
    [InlineData("{{ ('a' * 9000)|replace('', 'b' * 9000) }}", "more is to be done")]
    [InlineData("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "more is to be done")]
    [InlineData("{% set t = 'a' * 1000000 %}{% for a in range(9999) %}{{ 'b' in t }}{% endfor %}", "more is to be done")]
    [InlineData("{% set t = 'a' * 400000 %}{{ (t[1:] + 'b' + t) in (t * 9) }}", "more is to be done")]
    [InlineData(Doubled + "{{ ns.a|tojson }}", "more is to be done")]
    [InlineData(Doubled + "{{ ns.a == ns.b }}", "more is to be done")]
    [InlineData(Doubled + "{{ [ns.a, ns.b]|sort }}", "more is to be done")]
    [InlineData("{{ range(1000000) }}", "a range of more than 100,000 numbers")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "so deep a nesting")]
    [InlineData(Nested + "{{ ns.a }}", "so deep a nesting")]
    [InlineData(Nested + "{{ ns.a|tojson }}", "so deep a nesting")]
    [InlineData(Nested + "{{ ns.a == ns.b }}", "so deep a nesting")]
    public void TemplatesEnd(string template, string part) => Fails(part, () => ChatTemplate.Parse(template).Render(Hello));

    [Theory]
    [InlineData("(", ")")]
    [InlineData("not ", "")]
    [InlineData("-", "")]
    [InlineData("[", "]")]
    public void DeepNestingIsRefusedNotFatal(string open, string close)
    {
        string Deep(int depth) => "{{ " + string.Concat(Enumerable.Repeat(open, depth)) + "1" + string.Concat(Enumerable.Repeat(close, depth)) + " }}";
        Fails("so deep a nesting is not supported", () => ChatTemplate.Parse(Deep(200_000)));
        Assert.NotEmpty(ChatTemplate.Parse(Deep(100)).Render(Hello).Text);
        Fails("so deep a nesting is not supported", () =>
            ChatTemplate.Parse("{{ 1" + string.Concat(Enumerable.Repeat(" + 1", 200_000)) + " }}").Render(Hello));
    }

    [Fact]
    public void AsLongAsTheMessagesAreTheWorkMayGrow()
    {
        var said = string.Concat(Enumerable.Repeat("漢字 <|im_end|>\n", 500_000));
        var template = ChatTemplate.Parse(
            "{% for m in messages %}{% set c = m.content|trim %}{{ '<' + m.role + '>' + c.split('</think>')[-1].lstrip('\n') + '<end>' }}{% endfor %}");
        var prompt = template.Render([new("user", said), new("assistant", said)]);
        Assert.Equal($"<user>{said.TrimEnd()}<end><assistant>{said.TrimEnd()}<end>", prompt.Text);
    }

    [Fact]
    public void MessagesAreChecked()
    {
        static ChatMessage From(string json) => ChatMessage.FromJson(JsonDocument.Parse(json).RootElement);
        Fails("no object with a role", () => From("""["user"]"""));
        Fails("no object with a role", () => From("""{"content":"x"}"""));
        Fails("content of a message from 'user' is neither", () => From("""{"role":"user","content":7}"""));
        Fails("content of a message from 'user' is neither", () => From("""{"role":"user","content":["x"]}"""));
        Fails("half a surrogate pair", () => ChatTemplate.Parse("{{ messages[0].content }}").Render([From("""{"role":"user","content":"\ud800"}""")]));
        Fails("more than 64 bits", () => ChatTemplate.Parse("x").Render([From("""{"role":"user","n":99999999999999999999}""")]));
        Fails("The tools are no list", () => ChatTemplate.Parse("x").Render(Hello, tools: JsonSerializer.SerializeToElement("f")));
        var variables = new Dictionary<string, JsonElement> { ["tools"] = default };
        Fails("'tools' is no variable", () => ChatTemplate.Parse("x").Render(Hello, variables: variables));
        Assert.Equal("[{'type': 'text', 'text': 'é'}]", ChatTemplate.Parse("{{ messages[0].content }}").Render(
            [From("""{"role":"user","content":[{"type":"text","text":"é"}]}""")]).Text);
    }

    private static void Fails(string part, Action action) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(action).Message, StringComparison.Ordinal);
}
