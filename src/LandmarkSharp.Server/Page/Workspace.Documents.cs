using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Page;

/// <content>Memories and their documents.</content>
public sealed partial class Workspace
{
    private const string FirstMemory = "documents";

    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(300), Seldom = TimeSpan.FromSeconds(3);

    private readonly Dictionary<string, double> sending = [];                               // parts of documents that the browser has sent
    private IReadOnlyList<string> names = [];
    private IReadOnlyList<DocumentRow> documents = [];
    private PageMemory? memory;
    private string? current, memoryProblem, memoryTold;

    private MemoryShelf Shelf => Parts.Library.Of(Caller);

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
        var (before, rows, told) = (names, documents, memoryTold);
        try
        {
            names = [.. Shelf.All().Data.Select(m => m.Name)];
            if (current is null || !names.Contains(current)) (current, memory) = (names is [var first, ..] ? first : null, null);
            var described = current is null ? null : Shelf.Describe(current);
            documents = [.. (described?.Documents ?? []).Select(d => PageDocuments.Row(d, sending.TryGetValue(d.Name, out var part) ? part : null))];
            if (described?.Error is { } error) memoryProblem = error;
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            memoryProblem = e.Message;
        }
        memoryTold = Progress();
        return !before.SequenceEqual(names) || !rows.SequenceEqual(documents) || told != memoryTold;
    }

    /// <summary>What a screen reader says: not every number, for there are several a second.</summary>
    private string? Progress() => documents.FirstOrDefault(d => d.IsBusy) switch
    {
        null => memoryTold is null ? null : documents.Any(d => d.IsFailed) ? "A document could not be read." : "All documents have been read.",
        { Part: { } part } document => $"{document.Name}: {Math.Floor(part * 4) * 25} percent",
        { } document => $"{document.Name} is on its way.",
    };

    /// <summary>Opens the memory as it is now, for the strip.</summary>
    private async Task LookAtMemory()
    {
        var name = current;
        try
        {
            if (name is null || Shelf.Describe(name).DocumentCount == 0)
            {
                if (memory is null) return;
                memory = null;
            }
            else
            {
                var now = await Task.Run(() => answers.Look(name));
                if (name != current || now.Version == memory?.Version) return;
                memory = now;
            }
        }
        catch (Exception e) when (e is LandmarkException or RequestException)
        {
            if (memoryProblem == e.Message) return;
            (memory, memoryProblem) = (null, e.Message);
        }
        StateHasChanged();
    }

    private Task ChooseMemory(string name) => ChooseMemory(name, null);

    private async Task ChooseMemory(string name, PageSession? about)
    {
        NewSession();
        (current, memory, memoryProblem, memoryTold, session) = (name, null, null, null, about);
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
