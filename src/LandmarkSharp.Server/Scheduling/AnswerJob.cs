using System.Runtime.InteropServices;
using System.Threading.Channels;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>A token of one of a request's answers.</summary>
/// <param name="Choice">Which answer.</param>
/// <param name="Token">The token.</param>
/// <param name="Sources">With an answer's last token, what the answer was read from, where that is asked for.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AnswerToken(int Choice, GeneratedToken Token, AnswerSources? Sources = null);

/// <summary>A request as it is computed: prompts read in pieces, then answers token by token, each piece and token a turn.</summary>
/// <param name="client">Whose it is: clients take turns.</param>
/// <param name="prompts">Each prompt's tokens.</param>
/// <param name="answers">Answers to each.</param>
/// <param name="options">How tokens are chosen; each answer has a seed of its own.</param>
/// <param name="cancel">Ends it before its next turn.</param>
/// <param name="basis">What answers are read from besides the prompts, and what is told of it; null for nothing.</param>
internal sealed class AnswerJob(
    string client, IReadOnlyList<int[]> prompts, int answers, GenerationOptions options, CancellationToken cancel, AnswerBasis? basis = null)
    : Job(client, cancel, basis?.Memory)
{
    /// <summary>Tokens of a prompt that are read in a turn: about as long as some ten tokens of an answer take.</summary>
    private const int Piece = 384;

    private readonly Channel<AnswerToken> tokens = Channel.CreateUnbounded<AnswerToken>();
    private readonly AnswerBasis basis = basis ?? new AnswerBasis();
    private IEnumerator<bool>? turns;
    private Session? session;

    /// <summary>Takes tokens from its client's, as <see cref="Caller.Spend"/> does.</summary>
    public Action<int> Spend { get; init; } = _ => { };

    /// <summary>Tokens as they come; fails as the job does.</summary>
    public ChannelReader<AnswerToken> Tokens => tokens.Reader;

    /// <summary>Tokens of the prompts.</summary>
    public int PromptTokens { get; } = prompts.Sum(p => p.Length);

    /// <summary>Those of them that an earlier request had read.</summary>
    public int Reused { get; private set; }

    /// <inheritdoc/>
    public override bool Turn(LandmarkEngine engine, SessionCache cache) => (turns ??= Turns(engine, cache)).MoveNext();

    /// <inheritdoc/>
    public override void End(SessionCache cache, Exception? failure)
    {
        turns?.Dispose();
        // What was read before a request was given up is read; what failed may fail again.
        if (session is not null && (failure is null or RequestException)) Leave(cache);
        else if (session is not null) cache.Discard(session);
        session = null;
        Fail(failure);
    }

    /// <inheritdoc/>
    public override void Fail(Exception? failure)
    {
        if (failure is not null && basis.Memory is { } memory) failure = memory.Told(failure);
        basis.Dispose();
        tokens.Writer.TryComplete(failure);
    }

    private IEnumerator<bool> Turns(LandmarkEngine engine, SessionCache cache)
    {
        for (var choice = 0; choice < prompts.Count * answers; choice++)
        {
            var asked = prompts[choice / answers];
            if (basis.Found is not null && choice % answers == 0)
            {
                basis.Read(engine, choice / answers);
                yield return true;
            }
            // A session that began with a memory has the documents' last tokens before its own; one that goes on has what it read before.
            var (tail, reused) = (basis.Tail, 0);
            int[] prompt = [.. tail, .. asked];
            session = basis.IsShared ? cache.Take(prompt, options.MaxTokens, out reused, Start) : basis.Begin(engine);
            if (basis.Kept is { Tokens: not null }) prompt = [.. session.Tokens, .. asked];
            var read = Math.Max(0, reused - tail.Count);
            if (choice % answers == 0) Reused += read;
            // A text that there are no tokens for is not begun, and what is not read of one is given back.
            var unread = asked.Length - read;
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
            List<GeneratedToken> answer = [];
            foreach (var token in session.Generate(options with { Seed = options.Seed + choice, RecordReads = options.RecordReads || basis.Traces }))
            {
                if (token.Finish != FinishReason.EndOfText) Spend(1);
                if (basis.Traces) answer.Add(token);                                        // or what each has read, which is much, is for who takes it
                var sources = token.Finish is null ? null : basis.Sources(engine, session, choice / answers, answer);
                tokens.Writer.TryWrite(new AnswerToken(choice, token, sources));
                yield return true;
            }
            if (basis.Kept is { } kept)
            {
                kept.Answered(session, basis.Memory!.Share());
                session = null;
            }
            else
            {
                Leave(cache);
            }
        }
    }

    // Where there are keys, each goes on from its own sessions alone.
    private SessionStart Start => basis.Start with { Owner = Limits is null ? null : Client };

    private void Leave(SessionCache cache)
    {
        if (basis.IsShared) cache.Return(session!, Start);
        else cache.Discard(session!);
        session = null;
    }
}
