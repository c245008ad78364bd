using System.Text;
using LandmarkSharp.Server.Access;
using Microsoft.AspNetCore.Components;

namespace LandmarkSharp.Server.Page;

/// <summary>The page's whole: what is asked, and what is shown of it. Its documents are in another part.</summary>
public sealed partial class Workspace
{
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
    private PageReading reading = new();
    private bool isReady;

    /// <summary>The name of the caller whose page it is.</summary>
    [Parameter, EditorRequired]
    public string Who { get; set; } = "";

    private Caller Caller => Parts.CallerOf(Who);

    private IReadOnlyList<PageTurn> Turns => session?.Turns ?? [];

    /// <summary>The turn that is looked at, where the memories are still what they were then.</summary>
    private PageTurn? Look => looked is { } at && at < Turns.Count && Turns[at].Version == memory?.Version ? Turns[at] : null;

    private StripView Strip => asked is not null ? View([.. lit.Select(b => new BlockShare(b.Key, b.Value / tokens))], last)
        : Look is { } turn ? View(turn.Reads, token is { } at ? turn.Tokens[at] : null) : View([], null);

    private string BandTitle => asked is not null ? "What is read for the answer"
        : looked is not { } at ? (memory?.Memories.Count > 1 ? "The memories, block by block" : "The memory, block by block")
        : Look is not null ? "What the answer was read from"
        : Turns[at].Memories is { } others && memory is not null && !others.SequenceEqual(memory.Names)
            ? $"This answer was read from other memories: {string.Join(", ", others)}"
            : "The memory has changed since this answer, so its blocks are others now";

    private string Waiting => tokens == 0 ? "Waits for its turn, and reads the question" : $"{tokens:N0} {(tokens == 1 ? "token" : "tokens")}";

    private string Invitation => memory is null && documents.Any(d => d.IsBusy)
        ? "The document is being read. When it has been, ask about it here."
        : memory is null
        ? "Add a document, and ask about it: an answer shows the passages from which it was read."
        : $"{(memory.Memories.Count > 1 ? $"{memory.Memories.Count} memories, " : "")}{memory.Documents.Count} {(memory.Documents.Count == 1 ? "document" : "documents")}, {memory.Blocks:N0} blocks. Ask a question: its answer shows the passages from which it was read.";

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        (answers, files) = (new PageAnswers(Parts, Who), new SessionFiles(Parts.Options, Who));
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
        session = (session ?? PageSession.About()) with { Memories = Readable };
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
            await foreach (var step in answers.Ask(session, question, reading, stopping.Token))
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
        string[] there = [.. (session?.Memories ?? []).Where(Has)];
        if (there.Length > 0 && !there.SequenceEqual(memory?.Names ?? [])) await LookAt(there, shows: there.Contains(current) ? current! : there[0]);
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
        Keep(session! with { Id = PageSession.NewId(), Turns = [.. Turns.Take(turn + 1)], Changed = DateTimeOffset.UtcNow });
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
        return chosen is { } block ? Open(block, enters: false, looked is { } turn ? Turns[turn] : null) : Task.CompletedTask;
    }

    private async Task OpenSource((int Turn, long Block) source)
    {
        if (looked != source.Turn) (looked, token) = (source.Turn, null);
        await Open(source.Block, enters: true, Turns[source.Turn]);
    }

    /// <summary>Opens a block as a passage.</summary>
    /// <param name="block">The block.</param>
    /// <param name="enters">Whether whoever opens it goes there.</param>
    /// <param name="of">The turn of which it is a source: that knows what was read, though the memories may have changed.</param>
    private async Task Open(long block, bool enters, PageTurn? of)
    {
        try
        {
            if (of?.Passages.FirstOrDefault(p => p.Block == block) is { } source) passage = source;
            else if (memory is { Names: var names }) passage = await Task.Run(() => answers.Passage(names, block));
            else return;
            if (token is { } index && of is not null) passage = passage with { Share = of.Tokens[index].Reads.FirstOrDefault(r => r.Block == block)?.Share ?? 0 };
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

    private StripView View(IReadOnlyList<BlockShare> shares, ReadToken? now) => new(memory!.Blocks, memory.Memories, memory.Documents, shares, now?.Reads ?? []);

    private void Light(ReadToken read)
    {
        (last, tokens) = (read, tokens + 1);
        foreach (var (block, share) in read.Reads) lit[block] = lit.GetValueOrDefault(block) + share;
    }
}
