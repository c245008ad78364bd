using System.Runtime.InteropServices;
using System.Threading.Channels;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>A token of one of a request's answers.</summary>
/// <param name="Choice">Which answer.</param>
/// <param name="Token">The token.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AnswerToken(int Choice, GeneratedToken Token);

/// <summary>A request as it is computed: prompts read in pieces, then answers token by token, each piece and token a turn.</summary>
/// <param name="client">Whose it is: clients take turns.</param>
/// <param name="prompts">Each prompt's tokens.</param>
/// <param name="answers">Answers to each.</param>
/// <param name="options">How tokens are chosen; each answer has a seed of its own.</param>
/// <param name="cancel">Ends it before its next turn.</param>
internal sealed class AnswerJob(
    string client, IReadOnlyList<int[]> prompts, int answers, GenerationOptions options, CancellationToken cancel)
{
    /// <summary>Tokens of a prompt that are read in a turn: about as long as some ten tokens of an answer take.</summary>
    private const int Piece = 384;

    private readonly Channel<AnswerToken> tokens = Channel.CreateUnbounded<AnswerToken>();
    private IEnumerator<bool>? turns;
    private Session? session;

    /// <summary>Whose it is.</summary>
    public string Client => client;

    /// <summary>What its client may use at most; null where clients are connections, which have no shares.</summary>
    public CallerLimits? Limits { get; init; }

    /// <summary>Takes tokens from its client's, as <see cref="Caller.Spend"/> does.</summary>
    public Action<int> Spend { get; init; } = _ => { };

    /// <summary>Tokens as they come; fails as the job does.</summary>
    public ChannelReader<AnswerToken> Tokens => tokens.Reader;

    /// <summary>Tokens of the prompts.</summary>
    public int PromptTokens { get; } = prompts.Sum(p => p.Length);

    /// <summary>Those of them that an earlier request had read.</summary>
    public int Reused { get; private set; }

    /// <summary>Whether nobody waits for it any more.</summary>
    public bool IsCancelled => cancel.IsCancellationRequested;

    /// <summary>The number of its last turn; 0 before the first.</summary>
    public long LastTurn { get; set; }

    /// <summary>Computes a little more.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="cache">Where sessions come from and go to.</param>
    /// <returns>Whether there is more to do.</returns>
    public bool Turn(LandmarkEngine engine, SessionCache cache) => (turns ??= Turns(engine, cache)).MoveNext();

    /// <summary>Ends it.</summary>
    /// <param name="cache">Where what it read goes.</param>
    /// <param name="failure">Why, if not since it was complete or nobody waits.</param>
    public void End(SessionCache cache, Exception? failure)
    {
        turns?.Dispose();
        // What was read before a request was given up is read; what failed may fail again.
        if (session is not null && (failure is null or RequestException)) cache.Return(session);
        else if (session is not null) cache.Discard(session);
        session = null;
        Fail(failure);
    }

    /// <summary>Ends one that had no turn.</summary>
    public void Fail(Exception? failure) => tokens.Writer.TryComplete(failure);

    private IEnumerator<bool> Turns(LandmarkEngine engine, SessionCache cache)
    {
        for (var choice = 0; choice < prompts.Count * answers; choice++)
        {
            var prompt = prompts[choice / answers];
            session = cache.Take(prompt, options.MaxTokens, out var reused, Limits is null ? null : client);
            if (choice % answers == 0) Reused += reused;
            // A text that there are no tokens for is not begun, and what is not read of one is given back.
            var unread = prompt.Length - reused;
            Spend(unread);
            try
            {
                for (var at = session.Tokens.Count; at < prompt.Length; at += Piece)
                {
                    session.Append(prompt.AsSpan(at, Math.Min(Piece, prompt.Length - at)));
                    unread = prompt.Length - session.Tokens.Count;
                    yield return true;
                }
                unread = 0;
            }
            finally
            {
                Spend(-unread);
            }
            foreach (var token in session.Generate(options with { Seed = options.Seed + choice }))
            {
                if (token.Finish != FinishReason.EndOfText) Spend(1);
                tokens.Writer.TryWrite(new AnswerToken(choice, token));
                yield return true;
            }
            cache.Return(session);
            session = null;
        }
    }
}
