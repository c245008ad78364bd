using LandmarkSharp.Server.Chat;
using LandmarkSharp.Tests.Memory.Files;

namespace LandmarkSharp.Tests.Server;

/// <summary>The form in which models of ours are asked.</summary>
public sealed class QuestionTemplateTests
{
    private static readonly QuestionTemplate Template = new();

    [Fact]
    public void ATextComesFirstAndQuestionsAndAnswersInTurn() => Assert.Equal(
        "The stone is red.\n\nQuestion: What is red?\nAnswer: The stone.\n\nQuestion: What is the stone?\nAnswer:",
        Template.Render(
            [
                new(ChatRole.System, "The stone is red.\n"), new(ChatRole.User, "What is red?"), new(ChatRole.Assistant, " The stone."),
                new(ChatRole.User, "What is the stone?"),
            ], addGenerationPrompt: true).Text);

    [Fact]
    public void AUsersLastParagraphIsTheQuestion() => Assert.Equal(
        "The stone is red.\n\nThe sea is blue.\n\nQuestion: What is red?\nAnswer:",
        Template.Render([new(ChatRole.User, "The stone is red.\r\n\r\nThe sea is blue.\n\n\nWhat is red?\n")], addGenerationPrompt: true).Text);

    [Fact]
    public void WhatNobodyAskedIsText() => Assert.Equal(
        "Good day.\n\nQuestion: Who?\n\nThe sea.",
        Template.Render(
            [new(ChatRole.Assistant, "Good day."), new(ChatRole.User, "Who?"), new(ChatRole.System, "The sea.")], addGenerationPrompt: false).Text);

    [Fact]
    public void AnAnswerNeedsAQuestion() => Refusals.Says(
        () => Template.Render([new(ChatRole.System, "The sea.")], addGenerationPrompt: true), "no question");
}
