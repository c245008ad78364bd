using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Api;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Page;

/// <summary>Answers the page's questions about a caller's memories.</summary>
/// <param name="parts">What the page works with.</param>
/// <param name="who">The name of the caller.</param>
internal sealed class PageAnswers(PageParts parts, string who)
{
    /// <summary>Blocks of memories that all of them can be read for each token.</summary>
    public const int MostExact = 2048;

    private const int MostPassages = 64;

    private readonly string client = Guid.NewGuid().ToString("N");                          // where there are no keys, a page is a client

    /// <summary>How memories lie on the strip.</summary>
    /// <exception cref="LandmarkException">One cannot be opened.</exception>
    /// <exception cref="RequestException">One is not there.</exception>
    public PageMemory Look(IReadOnlyList<string> memories)
    {
        using var texts = Shelf.Texts(memories);
        return PageMemory.Of(texts);
    }

    /// <summary>A block as a passage.</summary>
    /// <inheritdoc cref="Look(IReadOnlyList{string})"/>
    public PagePassage Passage(IReadOnlyList<string> memories, long block)
    {
        using var texts = Shelf.Texts(memories);
        return Passages(texts, [new BlockShare(block, 0)], null)[0];
    }

    /// <summary>Answers a question after a conversation: each token as it comes, and then all of it. It is noted and counted as a program's is.</summary>
    /// <param name="session">The conversation, and the memories that are asked.</param>
    /// <param name="question">The question.</param>
    /// <param name="reading">How much is read of the memories.</param>
    /// <param name="stop">Ends it; what was answered by then is the answer.</param>
    /// <exception cref="LandmarkException">A memory cannot be opened or has grown meanwhile, or the model cannot be asked so.</exception>
    /// <exception cref="RequestException">A memory is not there, the conversation is too long, or too many wait.</exception>
    public async IAsyncEnumerable<AnswerStep> Ask(
        PageSession session, string question, PageReading reading, [EnumeratorCancellation] CancellationToken stop)
    {
        var note = parts.Notes.Begin(KeyCookie.Page);
        await using var steps = Steps(session, question, reading, note, stop).GetAsyncEnumerator(CancellationToken.None);
        while (await Next(steps, note)) yield return steps.Current;
    }

    private static async Task<bool> Next(IAsyncEnumerator<AnswerStep> steps, AnswerNote note)
    {
        try
        {
            return await steps.MoveNextAsync();
        }
        catch (Exception e)
        {
            note.Refused(ErrorBody.Failure(e));
            throw;
        }
    }

    private async IAsyncEnumerable<AnswerStep> Steps(
        PageSession session, string question, PageReading reading, AnswerNote note, [EnumeratorCancellation] CancellationToken stop)
    {
        var clock = Stopwatch.StartNew();
        var caller = parts.CallerOf(who);
        caller.Spend(0);
        var memory = await Task.Run(() => Look(session.Memories), CancellationToken.None);
        var prompt = parts.Template.Render(
            [
                .. session.Turns.Where(t => t.Answer.Length > 0)
                    .SelectMany(t => (ChatTurn[])[new ChatTurn(ChatRole.User, t.Question), new ChatTurn(ChatRole.Assistant, t.Answer)]),
                new ChatTurn(ChatRole.User, question),
            ], addGenerationPrompt: true);
        var tokens = PromptTokens.Checked(parts.Engine, parts.Template.EncodeAfterTexts(prompt, parts.Engine.Tokenizer), "question");
        if (tokens.Length > parts.Options.MaxPromptTokens)
            throw RequestException.Field(
                "question",
                $"The conversation has {tokens.Length:N0} tokens, and this server reads up to {parts.Options.MaxPromptTokens:N0}; begin a new one.",
                "context_length_exceeded");
        var sampling = new GenerationOptions { MaxTokens = parts.Options.MaxAnswerTokens, Stop = parts.Template.Stop, RecordReads = true, RecordTokenShares = true };
        using var left = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var way = reading.Way(memory.Blocks);
        var retrieval = way == ReadingWay.Exact ? Exact(memory) : parts.Engine.MemoryRetrieval(reading.TopK);
        int? topK = way == ReadingWay.Exact ? null : retrieval.TopK, focus = way == ReadingWay.Found ? reading.Focus : null;
        var keyed = parts.Keys is not null;
        using var lease = Shelf.Lease(session.Memories);
        var basis = new AnswerBasis
        {
            Model = parts.Model,
            Memory = lease.Share(),
            Retrieval = retrieval,
            Focus = focus is { } found ? [found] : null,
            Questions = [parts.Template.Question(question)],
        };
        var job = Submitted(new AnswerJob(keyed ? caller.Name : client, [tokens], 1, sampling, left.Token, basis)
        {
            Limits = keyed ? caller.Limits : null,
            Spend = caller.Spend,
        });
        try
        {
            // While it waited, the memories may have become others.
            var texts = await job.Tokens.WaitToReadAsync(CancellationToken.None) ? lease.Memory.Opened.Texts : null;
            var blocksBefore = memory.Blocks;
            if (texts is not null) memory = PageMemory.Of(texts);
            if (topK is null && memory.Blocks > blocksBefore)
                throw new LandmarkException("A memory has grown while the question waited, so not all of it would have been read; ask again.");
            var (answer, reads, tokensRead) = (new StringBuilder(), new AnswerReads(memory, basis.NumberInWhole), new List<ReadToken>());
            var (trims, decoder) = (prompt.EndsInWord(), parts.Engine.Tokenizer.CreateDecoder(atStart: false));
            await foreach (var (_, token, _) in job.Tokens.ReadAllAsync(CancellationToken.None))
            {
                if (reads.Queries == 0) note.Began();
                var text = trims && answer.Length == 0 ? token.Text.TrimStart() : token.Text;
                answer.Append(text);
                var read = reads.Add(token.Reads!);
                if (token.Finish == FinishReason.EndOfText) continue;
                tokensRead.Add(new ReadToken(decoder.Push(token.Id), read));
                yield return new AnswerStep(text, tokensRead[^1]);
            }
            note.Answered(job, tokensRead.Count);
            var blocks = reads.Blocks;
            var passages = texts is null ? [] : await Task.Run(() => Passages(texts, blocks.Take(MostPassages), reads), CancellationToken.None);
            // A block that much is read of a little at a time, as the last ones are, tells less than one with a word that was looked for.
            passages = [.. passages.OrderByDescending(PassageShades.Peak)];
            yield return new AnswerStep("", Turn: new PageTurn(
                question, answer.ToString(), topK, memory.Blocks, memory.Version, tokensRead, blocks, passages, 1 - blocks.Sum(b => b.Share),
                clock.Elapsed.TotalSeconds, focus, memory.Names));
        }
        finally
        {
            await left.CancelAsync();                                                       // nobody listens any more, however this was left
        }
    }

    private MemoryShelf Shelf => parts.Library.Of(parts.CallerOf(who));

    private AnswerJob Submitted(AnswerJob job)
    {
        try
        {
            parts.Scheduler.Submit(job);
            return job;
        }
        catch (RequestException e)
        {
            job.Fail(e);
            throw;
        }
    }

    /// <summary>The conversation's own blocks are among all, however long it gets.</summary>
    private RetrievalOptions Exact(PageMemory memory) => parts.Engine.Retrieval! with { TopK = (int)memory.Blocks + MostExact, Mass = null };

    private IReadOnlyList<PagePassage> Passages(MemoryTexts texts, IEnumerable<BlockShare> shares, AnswerReads? reads)
    {
        var tokenizer = parts.Engine.Tokenizer;
        var passages = MemoryPassages.Of(tokenizer, texts, texts.Tail, shares.Select(s => s.Block)).ToDictionary(p => p.Block);
        return [.. shares.Select(s => Of(passages[s.Block], s.Share))];

        PagePassage Of(Passage of, double share) => new(
            of.Block, share, of.Document!, of.FirstToken, of.Tokens, of.FirstByte, of.Bytes, of.Text,
            reads?.Words(of.Block, MemoryPassages.TokensOf(tokenizer, texts, texts.Tail, of.Block)), MemoryShelf.NameOf(of.File!));
    }
}

/// <summary>What comes of an answer: a token, or all of it at its end.</summary>
/// <param name="Text">What is shown with it.</param>
/// <param name="Token">The token.</param>
/// <param name="Turn">The whole answer.</param>
internal sealed record AnswerStep(string Text, ReadToken? Token = null, PageTurn? Turn = null);
