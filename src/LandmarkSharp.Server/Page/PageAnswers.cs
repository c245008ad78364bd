using System.Diagnostics;
using System.IO.Hashing;
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
    /// <summary>Blocks of a memory that all of them can be read for each token.</summary>
    public const int MostExact = 2048;

    private const int MostPassages = 64;

    private readonly string client = Guid.NewGuid().ToString("N");                          // where there are no keys, a page is a client

    /// <summary>How a memory lies on the strip.</summary>
    /// <exception cref="LandmarkException">It cannot be opened.</exception>
    /// <exception cref="RequestException">There is none.</exception>
    public PageMemory Look(string memory)
    {
        using var texts = Shelf.Texts(memory);
        return Look(texts);
    }

    /// <summary>A block as a passage.</summary>
    /// <inheritdoc cref="Look(string)"/>
    public PagePassage Passage(string memory, long block)
    {
        using var texts = Shelf.Texts(memory);
        return Passages(texts, [new BlockShare(block, 0)], null)[0];
    }

    /// <summary>Answers a question after a conversation: each token as it comes, and then all of it.</summary>
    /// <param name="session">The conversation.</param>
    /// <param name="question">The question.</param>
    /// <param name="topK">Blocks that each token is read from; null for all.</param>
    /// <param name="stop">Ends it; what was answered by then is the answer.</param>
    /// <exception cref="LandmarkException">The memory cannot be opened or has grown meanwhile, or the model cannot be asked so.</exception>
    /// <exception cref="RequestException">There is no such memory, or too many wait.</exception>
    public async IAsyncEnumerable<AnswerStep> Ask(PageSession session, string question, int? topK, [EnumeratorCancellation] CancellationToken stop)
    {
        var clock = Stopwatch.StartNew();
        var caller = parts.CallerOf(who);
        caller.Spend(0);
        var memory = await Task.Run(() => Look(session.Memory), CancellationToken.None);
        var prompt = parts.Template.Render(
            [
                .. session.Turns.Where(t => t.Answer.Length > 0)
                    .SelectMany(t => (ChatTurn[])[new ChatTurn(ChatRole.User, t.Question), new ChatTurn(ChatRole.Assistant, t.Answer)]),
                new ChatTurn(ChatRole.User, question),
            ], addGenerationPrompt: true);
        var tokens = PromptTokens.Checked(parts.Engine, parts.Template.EncodeAfterTexts(prompt, parts.Engine.Tokenizer), "question");
        if (tokens.Length > parts.Options.MaxPromptTokens)
            throw new LandmarkException(
                $"The conversation has {tokens.Length:N0} tokens, and this server reads up to {parts.Options.MaxPromptTokens:N0}; begin a new one.");
        var sampling = new GenerationOptions { MaxTokens = parts.Options.MaxAnswerTokens, Stop = parts.Template.Stop, RecordReads = true, RecordTokenShares = true };
        using var left = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var keyed = parts.Keys is not null;
        using var lease = Shelf.Lease([session.Memory]);
        var job = Submitted(new AnswerJob(
            keyed ? caller.Name : client, [tokens], 1, sampling, left.Token,
            new AnswerBasis { Model = parts.Model, Memory = lease.Share(), Retrieval = Retrieval(memory, topK) })
        {
            Limits = keyed ? caller.Limits : null,
            Spend = caller.Spend,
        });
        try
        {
            // While it waited, the memory may have become another.
            var texts = await job.Tokens.WaitToReadAsync(CancellationToken.None) ? lease.Memory.Opened.Texts : null;
            var blocksBefore = memory.Blocks;
            if (texts is not null) memory = Look(texts);
            if (topK is null && memory.Blocks > blocksBefore)
                throw new LandmarkException("The memory has grown while the question waited, so not all of it would have been read; ask again.");
            var (answer, reads, tokensRead) = (new StringBuilder(), new AnswerReads(memory), new List<ReadToken>());
            var (trims, decoder) = (prompt.EndsInWord(), parts.Engine.Tokenizer.CreateDecoder(atStart: false));
            await foreach (var (_, token, _) in job.Tokens.ReadAllAsync(CancellationToken.None))
            {
                var text = trims && answer.Length == 0 ? token.Text.TrimStart() : token.Text;
                answer.Append(text);
                var read = reads.Add(token.Reads!);
                if (token.Finish == FinishReason.EndOfText) continue;
                tokensRead.Add(new ReadToken(decoder.Push(token.Id), read));
                yield return new AnswerStep(text, tokensRead[^1]);
            }
            var blocks = reads.Blocks;
            var passages = texts is null ? [] : await Task.Run(() => Passages(texts, blocks.Take(MostPassages), reads), CancellationToken.None);
            // A block that much is read of a little at a time, as the last ones are, tells less than one with a word that was looked for.
            passages = [.. passages.OrderByDescending(PassageShades.Peak)];
            yield return new AnswerStep("", Turn: new PageTurn(
                question, answer.ToString(), topK, memory.Blocks, memory.Version, tokensRead, blocks, passages, 1 - blocks.Sum(b => b.Share),
                clock.Elapsed.TotalSeconds));
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

    private static PageMemory Look(MemoryTexts texts)
    {
        List<StripDocument> documents = [];
        var first = 0L;
        foreach (var document in texts.Documents)
        {
            documents.Add(new StripDocument(document.Name, first));
            first += document.Blocks;
        }
        var version = XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(string.Join('\n', texts.Documents.Select(d => d.Version))));
        return new PageMemory(texts.Blocks, texts.Tail.Count, documents, version.ToString("x16"));
    }

    /// <summary>As the engine reads where that is what is asked for, so that sessions serve others too.</summary>
    private RetrievalOptions? Retrieval(PageMemory memory, int? topK)
    {
        var own = parts.Engine.Retrieval!;
        // The conversation's own blocks are among all, however long it gets.
        return topK == own.TopK ? null : own with { TopK = topK ?? (int)memory.Blocks + MostExact, Mass = topK is null ? null : own.Mass };
    }

    private IReadOnlyList<PagePassage> Passages(MemoryTexts texts, IEnumerable<BlockShare> shares, AnswerReads? reads)
    {
        var tokenizer = parts.Engine.Tokenizer;
        var passages = MemoryPassages.Of(tokenizer, texts, texts.Tail, shares.Select(s => s.Block)).ToDictionary(p => p.Block);
        return [.. shares.Select(s => Of(passages[s.Block], s.Share))];

        PagePassage Of(Passage of, double share) => new(
            of.Block, share, of.Document!, of.FirstToken, of.Tokens, of.FirstByte, of.Bytes, of.Text,
            reads?.Words(of.Block, MemoryPassages.TokensOf(tokenizer, texts, texts.Tail, of.Block)));
    }
}

/// <summary>What comes of an answer: a token, or all of it at its end.</summary>
/// <param name="Text">What is shown with it.</param>
/// <param name="Token">The token.</param>
/// <param name="Turn">The whole answer.</param>
internal sealed record AnswerStep(string Text, ReadToken? Token = null, PageTurn? Turn = null);

/// <summary>A memory as it is now.</summary>
/// <param name="Whole">Its whole blocks.</param>
/// <param name="Tail">Tokens at the end of the last document that fill no block.</param>
/// <param name="Documents">Where its documents begin.</param>
/// <param name="Version">What tells it from what it was and will be.</param>
internal sealed record PageMemory(long Whole, int Tail, IReadOnlyList<StripDocument> Documents, string Version)
{
    /// <summary>Its blocks.</summary>
    public long Blocks => Whole + (Tail > 0 ? 1 : 0);

    /// <summary>How many of a block's tokens are its documents'.</summary>
    public int TokensOf(long block, int tokens) => block < Whole ? tokens : block == Whole ? Tail : 0;
}
