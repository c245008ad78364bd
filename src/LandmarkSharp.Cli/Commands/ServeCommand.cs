using System.CommandLine;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark serve</c>: a model that programs ask over HTTP.</summary>
internal sealed class ServeCommand : LandmarkCommand
{
    private readonly Option<string?> address =
        new("--address") { Description = "Address to listen on; 0.0.0.0 for other machines too.", HelpName = "IP" };
    private readonly Option<int?> port = new("--port") { Description = "Port to listen on; 0 takes any that is free.", HelpName = "N" };
    private readonly Option<string?> keys =
        new("--keys") { Description = "Key file that says who may ask; the one of 'landmark keys' where that is there.", HelpName = "FILE" };
    private readonly Option<string[]> host =
        new("--host") { Description = "Name by which the server is asked; may be given several times.", HelpName = "NAME" };
    private readonly Option<string?> certificate =
        new("--certificate") { Description = "Certificate to serve by HTTPS with: PFX, or PEM.", HelpName = "FILE" };
    private readonly Option<string?> certificateKey =
        new("--certificate-key") { Description = "Its key in PEM, where that is a file of its own.", HelpName = "FILE" };
    private readonly Option<long?> tokensADay =
        new("--tokens-a-day") { Description = "Tokens read and generated in a day for all keys together.", HelpName = "N" };
    private readonly Option<int?> concurrency =
        new("--concurrency") { Description = "Requests that are computed at once, each a little in turn.", HelpName = "N" };
    private readonly Option<int?> queue =
        new("--queue-length") { Description = "Requests that may wait; one more is told to come again.", HelpName = "N" };
    private readonly Option<int?> wait =
        new("--queue-seconds") { Description = "Seconds that a request may wait; then it is told to come again.", HelpName = "SECONDS" };
    private readonly Option<int?> prompt = new("--max-prompt-tokens") { Description = "Tokens that a prompt may have.", HelpName = "N" };
    private readonly Option<int?> answer = new("--max-answer-tokens") { Description = "Tokens that an answer may have.", HelpName = "N" };
    private readonly Option<int?> logprobs =
        new("--max-logprobs") { Description = "Log-probabilities that all answers of a request may come with.", HelpName = "N" };
    private readonly Option<int?> traceReads =
        new("--max-trace-reads") { Description = "Reads that all answers of a request may come with an account of.", HelpName = "N" };
    private readonly Option<string?> body =
        new("--max-body") { Description = "Bytes that a request may have, such as 16MiB.", HelpName = "BYTES" };
    private readonly Option<string?> cache = new("--cache")
    {
        Description = "Bytes of keys and values kept of earlier texts, such as 1GiB; 0 keeps none.",
        HelpName = "BYTES",
    };
    private readonly Option<string?> memories = new("--memories")
    {
        Description = "Folder of memories, which the page and programs make, fill and ask; one of this user's when not given, and 'none' for none.",
        HelpName = "FOLDER",
    };
    private readonly Option<string?> upload =
        new("--max-upload") { Description = "Bytes that a document of a memory may have, such as 256MiB.", HelpName = "BYTES" };
    private readonly Option<string?> disk = new("--memory-disk")
    {
        Description = "Bytes that all memories of a caller may take on disk; as many as there are when not given.",
        HelpName = "BYTES",
    };
    private readonly Option<string?> open = new("--memory-open")
    {
        Description = "Bytes of landmark keys, and of indexes over them, of all memories that are open at once; half of the RAM when not given.",
        HelpName = "BYTES",
    };
    private readonly Option<string?> hot = new("--memory-hot")
    {
        Description = "Bytes of blocks of all open memories kept in RAM; as many as the system likes when not given.",
        HelpName = "BYTES",
    };
    private readonly Option<int?> grace =
        new("--grace") { Description = "Seconds in which answers end when the server is asked to stop.", HelpName = "SECONDS" };
    private readonly ModelOptions model = new(asksMemories: true);

    public ServeCommand()
        : base(
            "serve", "Answers programs over HTTP, by OpenAI's protocol.",
            "serve", "serve --model models/mine --port 9000 --concurrency 8 --cache 4GiB", "serve --memories library --memory-disk 100GiB",
            "serve --address 0.0.0.0 --host llm.example.org --certificate llm.pem --certificate-key llm.key")
    {
        Option[] own =
        [
            address, port, keys, host, certificate, certificateKey, tokensADay, concurrency, queue, wait, prompt, answer, logprobs, traceReads, body, cache,
            memories, upload, disk, open, hot, grace,
        ];
        foreach (var option in own) Options.Add(option);
        model.AddTo(this);
    }

    /// <summary>As long as the longest time that answers may be given to end in.</summary>
    public override TimeSpan StopsWithin => TimeSpan.FromMinutes(11);

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var options = ServerConfiguration.Read(Given(parsed), Directory.GetCurrentDirectory(), UserFolders.Keys, UserFolders.Memories);
        var folder = Path.GetFullPath(model.Folder(parsed));
        using var engine = model.Load(parsed, forFiles: options.Memories is { } asked && asked != UserFolders.Memories);
        var without = options.Memories == UserFolders.Memories && !engine.HasMemories();
        if (without) options.Memories = null;
        var template = ChatTemplates.Of(folder);
        Serve(Path.GetFileName(Path.TrimEndingDirectorySeparator(folder))).GetAwaiter().GetResult();
        return Tool.Success;

        async Task Serve(string name)
        {
            await using var server = await LandmarkServer.Start(
                engine, name, options, template, logging => LandmarkServer.LogToStandardError(logging, output.IsJson));
            output.Line($"Serving {Spectre.Console.Markup.Escape(name)} on {server.Address}v1");
            if (options.Memories is { } memories)
                output.Line($"Its page is {server.Address}, and its memories are kept in {Spectre.Console.Markup.Escape(memories)}; --memories none has none");
            else if (without)
                output.Line("It has no memories and no page: those are of models with landmarks on the CPU");
            output.Event(new { @event = "listening", model = name, address = server.Address, memories = options.Memories });
            await Task.Delay(Timeout.Infinite, cancel).ContinueWith(_ => { }, TaskScheduler.Default);
            await server.Stop();
        }
    }

    /// <summary>What the command line says of the server's options.</summary>
    private Dictionary<string, string?> Given(ParseResult parsed)
    {
        string? Bytes(Option<string?> option) => parsed.GetValue(option) is { } text ? ByteSize.Parse(text, option).ToString() : null;
        var hosts = (parsed.GetValue(host) ?? []).Select((name, i) => KeyValuePair.Create($"{nameof(ServerOptions.Hosts)}:{i}", (string?)name));
        return new Dictionary<string, string?>(hosts)
        {
            [nameof(ServerOptions.Address)] = parsed.GetValue(address),
            [nameof(ServerOptions.Port)] = parsed.GetValue(port)?.ToString(),
            [nameof(ServerOptions.Keys)] = parsed.GetValue(keys),
            [nameof(ServerOptions.Certificate)] = parsed.GetValue(certificate),
            [nameof(ServerOptions.CertificateKey)] = parsed.GetValue(certificateKey),
            [nameof(ServerOptions.TokensADay)] = parsed.GetValue(tokensADay)?.ToString(),
            [nameof(ServerOptions.Concurrency)] = parsed.GetValue(concurrency)?.ToString(),
            [nameof(ServerOptions.QueueLength)] = parsed.GetValue(queue)?.ToString(),
            [nameof(ServerOptions.QueueSeconds)] = parsed.GetValue(wait)?.ToString(),
            [nameof(ServerOptions.MaxPromptTokens)] = parsed.GetValue(prompt)?.ToString(),
            [nameof(ServerOptions.MaxAnswerTokens)] = parsed.GetValue(answer)?.ToString(),
            [nameof(ServerOptions.MaxLogprobs)] = parsed.GetValue(logprobs)?.ToString(),
            [nameof(ServerOptions.MaxTraceReads)] = parsed.GetValue(traceReads)?.ToString(),
            [nameof(ServerOptions.MaxBodyBytes)] = Bytes(body),
            [nameof(ServerOptions.CacheBytes)] = Bytes(cache),
            [nameof(ServerOptions.Memories)] = parsed.GetValue(memories),
            [nameof(ServerOptions.MaxUploadBytes)] = Bytes(upload),
            [nameof(ServerOptions.MemoryDiskBytes)] = Bytes(disk),
            [nameof(ServerOptions.MemoryOpenBytes)] = Bytes(open),
            [nameof(ServerOptions.MemoryHotBytes)] = Bytes(hot),
            [nameof(ServerOptions.GraceSeconds)] = parsed.GetValue(grace)?.ToString(),
        }.Where(o => o.Value is not null).ToDictionary();
    }
}
