using System.CommandLine;
using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark memory add</c>: reads documents into a memory file.</summary>
internal sealed class MemoryAddCommand : LandmarkCommand
{
    private readonly Argument<string> file = MemoryCommand.FileArgument();
    private readonly Argument<string[]> documents = new("DOCUMENT")
    {
        Description = "Texts, HTML, EPUB and PDF, or folders of them; - for standard input.",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly Option<string?> name = new("--name")
    {
        Description = "The document's name; that of its file when not given.",
        HelpName = "NAME",
    };
    private readonly Option<bool> replace = new("--replace") { Description = "Replace documents of the same names." };
    private readonly Option<string?> hot = new("--hot")
    {
        Description = "Bytes of blocks kept in memory, such as 64MiB; as many as the system likes when not given.",
        HelpName = "BYTES",
    };
    private readonly MemoryModelOptions model = new(reads: true);

    public MemoryAddCommand()
        : base(
            "add", "Reads documents into a memory file; what was stopped goes on with the same command.",
            "memory add books.memory moby-dick.txt ulysses.txt --hot 64MiB", "memory add books.memory - --name notes < notes.txt",
            "memory add books.memory moby-dick.txt --replace --json", "memory add library.memory books --index hierarchical")
    {
        Arguments.Add(file);
        Arguments.Add(documents);
        foreach (var option in (IEnumerable<Option>)[name, replace, hot]) Options.Add(option);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (path, texts) = (parsed.GetValue(file)!, Named(parsed));
        long? hotBytes = parsed.GetValue(hot) is { } bytes ? ByteSize.Parse(bytes, hot) : null;
        if (!Path.Exists(path)) throw new LandmarkException($"There is no memory file {path}; make one by 'landmark memory create'.");
        MemoryFile.Open(path).Dispose();            // before the model is loaded
        using var engine = model.LoadEngine(parsed);
        using var writer = MemoryFileWriter.Open(path, engine.MemoryModel());
        var maker = new MemoryMaker(engine, writer) { HotBytes = hotBytes };
        List<MemoryDocument> made = [];
        var total = texts.Sum(t => TextInput.TokensAbout(t.Path));
        var clock = Stopwatch.StartNew();
        output.Progress<(long Tokens, string Label), int>("Reading", told => told, total, shown =>
        {
            var progress = new Speed(output, shown, total);
            try
            {
                foreach (var (called, text) in texts)
                {
                    var begun = clock.Elapsed;
                    using var reader = TextInput.Open(text);
                    var document = maker.Add(called, reader, parsed.GetValue(replace), progress, cancel);
                    progress.Add(document);
                    made.Add(document);
                    output.Event(new
                    {
                        @event = "document",
                        document.Name,
                        document.Tokens,
                        document.Blocks,
                        document.Bytes,
                        new_tokens = document.NewTokens,
                        verbatim = document.IsVerbatim,
                        seconds = Math.Round((clock.Elapsed - begun).TotalSeconds, 3),
                    });
                    if (!document.IsVerbatim)
                        Tool.Warn($"The tokens of '{called}' do not spell its text to the byte: the memory keeps what they spell, and its places are of that.", parsed);
                }
            }
            finally
            {
                writer.Commit();                // also where one fails or it is stopped: what was read before stays
            }
            return 0;
        });
        var (read, took) = (made.Sum(d => d.NewTokens), clock.Elapsed.TotalSeconds);
        var speed = Math.Round(read / took);
        var written = new FileInfo(path).Length;
        output.Event(new
        {
            @event = "memory",
            documents = made.Count,
            new_tokens = read,
            seconds = Math.Round(took, 3),
            tokens_per_second = speed,
            file_bytes = written,
            peak_rss_mb = ProcessMemory.PeakResidentBytes / 1_000_000,
        });
        output.Table(["document", "tokens", "blocks", "text", ""], made.Select(d => new[]
        {
            d.Name, $"{d.Tokens:N0}", $"{d.Blocks:N0}", ByteSize.Text(d.Bytes), d.NewTokens == 0 ? "was there" : d.NewTokens < d.Tokens ? $"{d.NewTokens:N0} tokens were new" : "",
        }));
        output.Text(
            $"{read:N0} tokens read in {took:F1} s ({speed:N0} tokens/s); the file has {ByteSize.Text(written)}, "
            + $"and the peak of memory was {ByteSize.Text(ProcessMemory.PeakResidentBytes)}\n");
        return Tool.Success;
    }

    /// <summary>The documents with their names, each seen to be text where that can be seen beforehand.</summary>
    private (string Name, string Path)[] Named(ParseResult parsed)
    {
        List<(string Name, string Path)> texts = [];
        foreach (var document in parsed.GetValue(documents)!)
        {
            if (!TextInput.IsFile(document))
            {
                if (!Console.IsInputRedirected) throw new LandmarkException("There is nothing on standard input; pipe a text in, or give a file.");
                if (parsed.GetValue(name) is null) throw new LandmarkException("Standard input has no name; give one by --name.");
                texts.Add(("", document));
                continue;
            }
            var isFolder = Directory.Exists(document);
            foreach (var text in TextInput.Documents(document))
                texts.Add((isFolder ? Path.GetRelativePath(document, text) : Path.GetFileName(text), text));
        }
        if (parsed.GetValue(name) is { } only)
        {
            if (texts.Count > 1) throw new LandmarkException($"--name is one document's, and there are {texts.Count}; add them one by one, or leave it out.");
            texts[0] = (only, texts[0].Path);
        }
        if (texts.CountBy(t => t.Name).FirstOrDefault(t => t.Value > 1) is { Key: { } twice })
            throw new LandmarkException($"{texts.Count(t => t.Name == twice)} documents would have the name '{twice}'; add them one by one, with --name.");
        return [.. texts];
    }

    /// <summary>Tells how far the documents are, how fast they are read, and how long it will take.</summary>
    private sealed class Speed(Output output, IProgress<(long Tokens, string Label)> shown, long total) : IProgress<MemoryProgress>
    {
        private const int EventSeconds = 5;

        private readonly Stopwatch clock = Stopwatch.StartNew();
        private long before, newBefore;             // tokens of the documents that are done
        private double nextEvent = EventSeconds;

        public void Add(MemoryDocument done) => (before, newBefore) = (before + done.Tokens, newBefore + done.NewTokens);

        public void Report(MemoryProgress told)
        {
            var (read, seconds) = (before + told.Tokens, clock.Elapsed.TotalSeconds);
            var speed = (newBefore + told.NewTokens) / seconds;
            shown.Report((read, $"{told.Document}: {told.Tokens:N0} tokens, {speed:N0} tokens/s"));
            if (seconds < nextEvent) return;
            nextEvent = seconds + EventSeconds;
            output.Event(new
            {
                @event = "progress",
                told.Document,
                told.Tokens,
                tokens_per_second = Math.Round(speed),
                seconds_left = total > read ? Math.Round((total - read) / speed) : (double?)null,
            });
        }
    }
}
