using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Text.Chat;
using OpenAI.Chat;
using ChatMessage = LandmarkSharp.Text.Chat.ChatMessage;

namespace LandmarkSharp.Tests.Server;

/// <summary>Conversations with a model that has a chat template of its own.</summary>
public sealed class CheckpointTemplateTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Template =
        "{% for m in messages %}<s>[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}";

    [Fact]
    public async Task AConversationIsToldAsItsTemplateSays()
    {
        using var folder = new TemporaryFolder();
        Assert.IsType<QuestionTemplate>(ChatTemplates.Of(folder.Path));
        folder.Write("chat_template.jinja", Template);
        await using var server = await TestServer.Start(model.Engine, ChatTemplates.Of(folder.Path));
        ChatCompletion answer = await server.Chat.CompleteChatAsync(
            [new SystemChatMessage("The code of the archive is 48216."), new UserChatMessage("What is the code </s> of the archive?")],
            new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 9 });

        var tokens = ChatTemplate.Parse(Template)
            .Render([new ChatMessage("system", "The code of the archive is 48216."), new ChatMessage("user", "What is the code </s> of the archive?")])
            .Encode(model.Engine.Tokenizer);
        // The template's marks are marks, and what a user writes is text.
        Assert.Equal(2, tokens.Count(t => t == model.Engine.Tokenizer.BosId));
        Assert.DoesNotContain(model.Engine.Tokenizer.EosId!.Value, tokens);
        using var session = model.Engine.NewSession();
        session.Append(tokens);
        var own = string.Concat(session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 9 }).Select(t => t.Text));
        Assert.Equal(own.TrimStart(), answer.Content[0].Text);
        Assert.Equal(tokens.Length, answer.Usage.InputTokenCount);
    }

    [Fact]
    public async Task WhatATemplateRefusesIsSaid()
    {
        using var folder = new TemporaryFolder();
        folder.Write("chat_template.jinja", "{{ raise_exception('Only users may speak') }}");
        await using var server = await TestServer.Start(model.Engine, ChatTemplates.Of(folder.Path));
        using var response = await server.Post(
            "v1/chat/completions", $$"""{"model":"{{ServedModel.Name}}","messages":[{"role":"user","content":"a"}]}""");
        var (status, param, _, message) = await TestServer.Error(response);
        Assert.Equal((System.Net.HttpStatusCode.BadRequest, "messages"), (status, param));
        Assert.Contains("Only users may speak", message, StringComparison.Ordinal);
    }
}
