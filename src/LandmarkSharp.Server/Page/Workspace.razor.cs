using System.Text;
using LandmarkSharp.Server.Access;
using Microsoft.AspNetCore.Components;

namespace LandmarkSharp.Server.Page;

/// <summary>The page's whole: what is asked, and what is shown of it. Its documents are in another part.</summary>
public sealed partial class Workspace
{
    private const int MostTopK = 32;

    private readonly StringBuilder streamed = new();
    private readonly CancellationTokenSource closed = new();
    private IReadOnlyList<PageSession> sessions = [];
    private readonly Dictionary<long, double> lit = [];                                     // sums over the tokens of the answer that comes
    private ReadToken? last;
    private int tokens;
    private CancellationTokenSource? stop;
    private PageAnswers answers = null!;
    private SessionFiles files = null!;
    private PageSession? session;
    private PagePassage? passage;
    private string? asked, answerTold, problem;
    private int? looked, token;
    private long? chosen;
    private int topK;
    private bool exact, isReady;

    /// <summary>The name of the caller whose page it is.</summary>
    [Parameter, EditorRequired]
    public string Who { get; set; } = "";

    private Caller Caller => Parts.CallerOf(Who);

    private IReadOnlyList<PageTurn> Turns => session?.Turns ?? [];

    /// <summary>The turn that is looked at, where the memory is still what it was then.</summary>
    private PageTurn? Look => looked is { } at && at < Turns.Count && Turns[at].Version == memory?.Version ? Turns[at] : null;

    private StripView Strip => asked is not null ? View([.. lit.Select(b => new BlockShare(b.Key, b.Value / tokens))], last)
        : Look is { } turn ? View(turn.Reads, token is { } at ? turn.Tokens[at] : null) : View([], null);

    private string BandTitle => asked is not null ? "What is read for the answer"
        : looked is null ? "The memory, block by block"
        : Look is null ? "The memory has changed since this answer, so its blocks are others now" : "What the answer was read from";

    private string Waiting => tokens == 0 ? "Waits for its turn, and reads the question" : $"{tokens:N0} {(tokens == 1 ? "token" : "tokens")}";

    private string Invitation => memory is null
        ? "Add a document, and ask about it: an answer shows the passages from which it was read."
        : $"{memory.Documents.Count} {(memory.Documents.Count == 1 ? "document" : "documents")}, {memory.Blocks:N0} blocks. Ask a question: its answer shows the passages from which it was read.";

    private string? WhyNotExact => memory is null ? "There is nothing to read yet."
        : memory.Blocks > PageAnswers.MostExact
            ? $"This memory has {memory.Blocks:N0} blocks; with more than {PageAnswers.MostExact:N0}, to read all for each token would take too long."
            : null;

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        (answers, files) = (new PageAnswers(Parts, Who), new SessionFiles(Parts.Options, Who));
        topK = Parts.Engine.Retrieval!.TopK;
        sessions = files.All();
        Refresh();
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender) return;
        await Script.Call("start");
        isReady = true;
        StateHasChanged();
        await Watch(closed.Token);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        closed.Cancel();
        stop?.Cancel();
    }

    private async Task Ask(string question)
    {
        if (session is null || session.Memory != current) session = PageSession.About(current!);
        (asked, answerTold, problem, looked, token) = (question, "The question is being answered.", null, null, null);
        streamed.Clear();
        lit.Clear();
        (last, tokens) = (null, 0);
        Leave();
        StateHasChanged();
        await Script.Call("showLast");
        using var stopping = stop = new CancellationTokenSource();
        try
        {
            await foreach (var step in answers.Ask(session, question, exact && WhyNotExact is null ? null : topK, stopping.Token))
            {
                if (step.Token is { } read) Light(read);
                streamed.Append(step.Text);
                if (step.Turn is { } turn) Keep(session with { Turns = [.. session.Turns, turn], Changed = DateTimeOffset.UtcNow });
                StateHasChanged();
            }
            await Script.Call("showLast");
            (looked, answerTold) = (Turns.Count - 1, Turns[^1].Answer.Length > 0 ? $"Answer: {Turns[^1].Answer}" : "There is no answer.");
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            (problem, answerTold) = (e.Message, null);
        }
        finally
        {
            (asked, stop) = (null, null);
        }
    }

    private Task Stop() => stop?.CancelAsync() ?? Task.CompletedTask;

    private void Keep(PageSession changed)
    {
        session = changed;
        files.Save(changed);
        sessions = files.All();
    }

    private void NewSession()
    {
        (session, looked, token, problem) = (null, null, null, null);
        Leave();
    }

    private async Task OpenSession(string id)
    {
        NewSession();
        session = files.Find(id);
        sessions = files.All();
        if (session is not null && names.Contains(session.Memory) && session.Memory != current) await ChooseMemory(session.Memory, session);
        looked = Turns.Count > 0 ? Turns.Count - 1 : null;
    }

    private void RemoveSession(string id)
    {
        files.Remove(id);
        if (session?.Id == id) NewSession();
        sessions = files.All();
    }

    /// <summary>Another conversation that goes on after a turn of this one.</summary>
    private void Fork(int turn)
    {
        Keep(session! with { Id = PageSession.About("").Id, Turns = [.. Turns.Take(turn + 1)], Changed = DateTimeOffset.UtcNow });
        (looked, token) = (turn, null);
    }

    private Task LookAtTurn(int turn)
    {
        looked = looked == turn ? null : turn;
        return LookAtToken(null);
    }

    /// <summary>Shows what a token was read from, or the whole answer; of the passage that is open, too.</summary>
    private Task LookAtToken(int? at)
    {
        token = at;
        return chosen is { } block ? Open(block, enters: false) : Task.CompletedTask;
    }

    private async Task OpenSource((int Turn, long Block) source)
    {
        if (looked != source.Turn) (looked, token) = (source.Turn, null);
        await Open(source.Block, enters: true);
    }

    private async Task Open(long block, bool enters)
    {
        try
        {
            var turn = looked is { } at ? Turns[at] : null;
            // What was read is known as it was then, though the memory may have changed.
            passage = turn?.Passages.FirstOrDefault(p => p.Block == block) ?? await Task.Run(() => answers.Passage(current!, block));
            if (token is { } index && turn is not null && passage is not null)
                passage = passage with { Share = turn.Tokens[index].Reads.FirstOrDefault(r => r.Block == block)?.Share ?? 0 };
            chosen = block;
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            problem = e.Message;
            return;
        }
        if (!enters) return;
        StateHasChanged();
        await Script.Call("enter", "passage-title");
    }

    private async Task Close()
    {
        Leave();
        StateHasChanged();
        await Script.Call("goBack");
    }

    private void Leave() => (passage, chosen) = (null, null);

    private StripView View(IReadOnlyList<BlockShare> shares, ReadToken? now) => new(memory!.Blocks, memory.Documents, shares, now?.Reads ?? []);

    private void Light(ReadToken read)
    {
        (last, tokens) = (read, tokens + 1);
        foreach (var (block, share) in read.Reads) lit[block] = lit.GetValueOrDefault(block) + share;
    }
}
