namespace LandmarkSharp.Server;

/// <summary>What the server notes: never anything of what was asked or answered.</summary>
internal sealed partial class ServerLog(ILogger<ServerLog> logger)
{
    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "Serving {Model} on {Address}")]
    public partial void Listening(string model, string address);

    [LoggerMessage(
        EventId = 2, Level = LogLevel.Information,
        Message = "Answered {Path}: {PromptTokens} tokens read, {Reused} of them before, {AnswerTokens} generated, {Milliseconds} ms")]
    public partial void Answered(string path, int promptTokens, int reused, int answerTokens, long milliseconds);

    [LoggerMessage(EventId = 3, Level = LogLevel.Information, Message = "Refused {Path} with {Status} {Code}")]
    public partial void Refused(string path, int status, string? code);

    [LoggerMessage(EventId = 4, Level = LogLevel.Information, Message = "The client of {Path} went away")]
    public partial void WentAway(string path);

    [LoggerMessage(EventId = 5, Level = LogLevel.Error, Message = "An answer failed")]
    public partial void AnswerFailed(Exception failure);

    [LoggerMessage(EventId = 6, Level = LogLevel.Information, Message = "Stopping: answers have {Seconds} s to end in")]
    public partial void Stopping(int seconds);

    [LoggerMessage(EventId = 7, Level = LogLevel.Error, Message = "Nobody is let in: {Reason}")]
    public partial void KeysUnreadable(string reason);

    [LoggerMessage(EventId = 8, Level = LogLevel.Warning, Message = "The day's tokens are counted in memory alone for now: {Reason}")]
    public partial void TokensNotWritten(string reason);

    [LoggerMessage(
        EventId = 9, Level = LogLevel.Warning,
        Message = "Keys and texts are sent to {Address} in the clear, and whoever is on the way can read them; give a certificate")]
    public partial void InTheClear(string address);

    [LoggerMessage(EventId = 10, Level = LogLevel.Error, Message = "The reading of a document failed")]
    public partial void ReadingFailed(Exception failure);
}
