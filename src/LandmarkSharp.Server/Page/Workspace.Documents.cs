using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Page;

/// <content>Memories and their documents.</content>
public sealed partial class Workspace
{
    private const string FirstMemory = "documents";

    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(300), Seldom = TimeSpan.FromSeconds(3);

    private readonly Dictionary<string, double> sending = [];                               // parts of documents that the browser has sent
    private IReadOnlyList<MemoryRow> memories = [];
    private IReadOnlyList<string> about = [];                                               // names of the memories that are asked
    private IReadOnlyList<DocumentRow> documents = [];
    private PageMemory? memory;
    private string? current, memoryProblem, memoryTold;

    private MemoryShelf Shelf => Parts.Library.Of(Caller);

    /// <summary>Those that are asked and have something to read, in the order of the list.</summary>
    private string[] Readable => [.. memories.Where(m => m.Documents > 0 && about.Contains(m.Name)).Select(m => m.Name)];

    /// <summary>Sees how documents are, often while something happens to them.</summary>
    private async Task Watch(CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            await LookAtMemory();
            await Task.Delay(documents.Any(d => d.IsBusy) ? Often : Seldom, cancel).ContinueWith(_ => { }, TaskScheduler.Default);
            if (!cancel.IsCancellationRequested && Refresh()) StateHasChanged();
        }
    }

    /// <summary>Reads the list of memories and documents.</summary>
    /// <returns>Whether anything is new.</returns>
    private bool Refresh()
    {
        var (before, rows, told) = (memories, documents, memoryTold);
        try
        {
            memories = [.. Shelf.All().Data.Select(m => new MemoryRow(m.Name, m.DocumentCount))];
            if (current is null || !Has(current)) (current, memory) = (memories is [var first, ..] ? first.Name : null, null);
            if (!about.All(Has)) about = [.. about.Where(Has)];
            if (about.Count == 0 && current is not null) about = [current];
            var described = current is null ? null : Shelf.Describe(current);
            documents = [.. (described?.Documents ?? []).Select(d => PageDocuments.Row(d, sending.TryGetValue(d.Name, out var part) ? part : null))];
            if (described?.Error is { } error) memoryProblem = error;
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            memoryProblem = e.Message;
        }
        memoryTold = Progress();
        return !before.SequenceEqual(memories) || !rows.SequenceEqual(documents) || told != memoryTold;
    }

    private bool Has(string name) => memories.Any(m => m.Name == name);

    /// <summary>What a screen reader says: not every number, for there are several a second.</summary>
    private string? Progress() => documents.FirstOrDefault(d => d.IsBusy) switch
    {
        null => memoryTold is null ? null : documents.Any(d => d.IsFailed) ? "A document could not be read." : "All documents have been read.",
        { Part: { } part } document => $"{document.Name}: {Math.Floor(part * 4) * 25} percent",
        { } document => $"{document.Name} is on its way.",
    };

    /// <summary>Opens the memories that are asked as they are now, for the strip.</summary>
    private async Task LookAtMemory()
    {
        var (names, isOther) = (Readable, false);
        try
        {
            if (names.Length == 0)
            {
                if (memory is null) return;
                memory = null;
            }
            else
            {
                var now = await Task.Run(() => answers.Look(names));
                if (!names.SequenceEqual(Readable) || (now.Version == memory?.Version && now.Names.SequenceEqual(memory.Names))) return;
                (isOther, memory) = (memory is null || !now.Names.SequenceEqual(memory.Names), now);
            }
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            if (memoryProblem == e.Message) return;
            (memory, memoryProblem) = (null, e.Message);
        }
        StateHasChanged();
        if (isOther) await Task.Run(() => Shelf.Prepare(names));
    }

    /// <summary>Shows a memory, and asks it alone.</summary>
    private async Task ChooseMemory(string name)
    {
        NewSession();
        await LookAt([name], shows: name);
    }

    private async Task LookAt(IReadOnlyList<string> names, string shows)
    {
        (about, current, memory, memoryProblem, memoryTold) = (names, shows, null, null, null);
        Refresh();
        await LookAtMemory();
    }

    /// <summary>Asks a memory too, or not any more; the conversation goes on.</summary>
    private async Task ToggleMemory(string name)
    {
        about = about.Contains(name) ? [.. about.Where(a => a != name)] : [.. about, name];
        Leave();
        Refresh();
        await LookAtMemory();
    }

    private async Task MakeMemory(string name)
    {
        if (Try(() => Shelf.Create(name, null))) await ChooseMemory(name);
    }

    private async Task RemoveMemory()
    {
        var name = current!;
        await Try(() => Shelf.Delete(name));
        NewSession();
        Refresh();
        await LookAtMemory();
    }

    private async Task RemoveDocument(string document)
    {
        var name = current!;
        sending.Remove(document);
        await Try(() => Shelf.Remove(name, document));
        Refresh();
        await LookAtMemory();
    }

    /// <summary>Where a file goes; null, and a sentence, where it cannot.</summary>
    private Task<FilePlace?> BeginSending(string document)
    {
        memoryProblem = null;
        FilePlace? place = null;
        Try(() =>
        {
            if (PageDocuments.TypeOf(document) is not { } type)
                throw new LandmarkException($"'{document}' is none of the kinds that can be read here: {PageDocuments.Kinds}; make it one of these.");
            if (current is null) Shelf.Create(current = FirstMemory, null);
            MemoryNames.Document(document);
            sending[document] = 0;
            place = new FilePlace(current, type);
        });
        Refresh();
        StateHasChanged();
        return Task.FromResult(place);
    }

    private void Sent((string Document, double Part, string? Problem) told)
    {
        if (told.Problem is not null) memoryProblem = told.Problem;
        if (told.Problem is not null || told.Part >= 1) sending.Remove(told.Document);
        else sending[told.Document] = told.Part;
        Refresh();
    }

    private bool Try(Action act)
    {
        memoryProblem = null;
        try
        {
            act();
            return true;
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            memoryProblem = e.Message;
            return false;
        }
    }

    private async Task Try(Func<Task> act)
    {
        memoryProblem = null;
        try
        {
            await act();
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            memoryProblem = e.Message;
        }
    }
}
