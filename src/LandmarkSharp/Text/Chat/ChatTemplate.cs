using System.Runtime.InteropServices;
using System.Text.Json;
using LandmarkSharp.Text.Chat.Jinja;

namespace LandmarkSharp.Text.Chat;

/// <summary>
/// How a model wants a conversation written: the Jinja template that comes with its checkpoint, rendered as Hugging Face
/// transformers renders it. Immutable, and safe to use from several threads.
/// </summary>
/// <remarks>
/// Templates are programs from whoever made the checkpoint. They can read nothing but what they are given and the time,
/// and end after a bounded number of steps. What of Jinja is not known here is refused when it is reached.
/// See docs/chat-templates.md.
/// </remarks>
public sealed class ChatTemplate
{
    private static readonly string[] Reserved = ["messages", "tools", "add_generation_prompt"];

    private readonly IReadOnlyDictionary<string, TemplateProgram> programs;
    private readonly IReadOnlyDictionary<string, string> specialTokens;

    internal ChatTemplate(IReadOnlyDictionary<string, TemplateProgram> programs, IReadOnlyDictionary<string, string> specialTokens) =>
        (this.programs, this.specialTokens) = (programs, specialTokens);

    /// <summary>The names of the templates; a checkpoint with one has it as <c>default</c>.</summary>
    public IReadOnlyCollection<string> Names => [.. programs.Keys];

    /// <summary>Reads the templates of a checkpoint, or gives null where it has none.</summary>
    /// <remarks>
    /// As in transformers, <c>chat_template.jinja</c> and <c>additional_chat_templates/*.jinja</c> come before the
    /// <c>chat_template</c> of <c>tokenizer_config.json</c>; the special tokens are those that the files name.
    /// </remarks>
    /// <param name="modelFolder">The checkpoint's folder.</param>
    /// <exception cref="LandmarkException">There is no such folder, a file is damaged, or a template uses a statement that is not known.</exception>
    public static ChatTemplate? Load(string modelFolder) => ChatTemplateFiles.Load(modelFolder);

    /// <summary>Reads a template from its text.</summary>
    /// <param name="text">The template.</param>
    /// <param name="specialTokens">What the template may name, such as <c>bos_token</c>, with how the tokenizer spells it.</param>
    /// <exception cref="LandmarkException">It is no template; the message names the line.</exception>
    public static ChatTemplate Parse(string text, IReadOnlyDictionary<string, string>? specialTokens = null) => new(
        new Dictionary<string, TemplateProgram> { ["default"] = TemplateProgram.Parse(text, "The chat template") },
        specialTokens ?? new Dictionary<string, string>());

    /// <summary>Writes a conversation as the model reads it.</summary>
    /// <param name="messages">The conversation so far.</param>
    /// <param name="addGenerationPrompt">Whether the prompt ends where the model's answer begins.</param>
    /// <param name="tools">The functions that the model may call, a JSON list in OpenAI's form, or null.</param>
    /// <param name="variables">What the template may ask for besides, such as <c>enable_thinking</c> or <c>documents</c>.</param>
    /// <param name="name">Which of the templates; by default <c>tool_use</c> where there are tools and it is there, else <c>default</c>.</param>
    /// <param name="clock">Where the time comes from, by default the system's: some templates tell the model the date.</param>
    /// <exception cref="LandmarkException">The template refuses the messages, or cannot be rendered; the message says why.</exception>
    public ChatPrompt Render(
        IReadOnlyList<ChatMessage> messages,
        bool addGenerationPrompt = true,
        JsonElement? tools = null,
        IReadOnlyDictionary<string, JsonElement>? variables = null,
        string? name = null,
        TimeProvider? clock = null)
    {
        variables ??= new Dictionary<string, JsonElement>();
        if (tools is { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined }) tools = null;
        if (tools is { ValueKind: not JsonValueKind.Array })
            throw new LandmarkException("The tools are no list; give a list of functions in OpenAI's form.");
        if (variables.Keys.FirstOrDefault(Reserved.Contains) is { } reserved)
            throw new LandmarkException($"'{reserved}' is no variable of a chat template's caller; give it as the argument of that name.");
        var given = messages.Select(m => m.Json).Concat(variables.Values).Concat(tools is { } list ? [list] : []);
        var meter = new Meter(given.Sum(json => (long)JsonMarshal.GetRawUtf8Value(json).Length), clock ?? TimeProvider.System);

        var names = new Dictionary<string, object?>(StringComparer.Ordinal) { ["documents"] = null };
        foreach (var (token, spelling) in specialTokens) names[token] = TaintedText.Own(spelling);
        foreach (var (variable, value) in variables) names[variable] = Json.Read(value);
        names["messages"] = Items.List([.. messages.Select(m => Json.Read(m.Json))]);
        names["tools"] = tools is { } functions ? Json.Read(functions) : null;
        names["add_generation_prompt"] = addGenerationPrompt;

        var text = Program(name, tools is not null).Render(names, meter);
        return new ChatPrompt(text.Value, [.. text.GivenStretches.Select(s => new Range(s.Start, s.End))]);
    }

    private TemplateProgram Program(string? name, bool withTools)
    {
        var wanted = name ?? (withTools && programs.ContainsKey("tool_use") ? "tool_use" : "default");
        return programs.TryGetValue(wanted, out var program) ? program : throw new LandmarkException(
            $"The model has no chat template '{wanted}'; name one of {string.Join(", ", programs.Keys)}.");
    }
}
