using System.Net.Sockets;
using System.Text.Json.Serialization;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Api;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Page;
using LandmarkSharp.Server.Scheduling;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Logging.Console;
using OpenTelemetry.Metrics;

namespace LandmarkSharp.Server;

/// <summary>A model that programs ask over HTTP, by OpenAI's protocol.</summary>
/// <example>
/// <code>
/// using var engine = LandmarkEngine.Load("models/landmark-10m");
/// await using var server = await LandmarkServer.Start(engine, "landmark-10m", new ServerOptions(), new QuestionTemplate());
/// Console.WriteLine(server.Address);
/// </code>
/// </example>
public sealed class LandmarkServer : IAsyncDisposable
{
    /// <summary>Connections at once: far more than requests are taken on, and few enough that idle ones cost little memory.</summary>
    private const int MostConnections = 1024;

    private readonly WebApplication app;
    private readonly ServerLog log;
    private readonly ServerMetrics metrics;
    private readonly ServerOptions options;

    private LandmarkServer(
        WebApplication app, Scheduler scheduler, MemoryLibrary? library, ServerLog log, ServerMetrics metrics, ServerOptions options) =>
        (this.app, Scheduler, Library, this.log, this.metrics, this.options) = (app, scheduler, library, log, metrics, options);

    /// <summary>Where it listens.</summary>
    public Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    /// <summary>What computes.</summary>
    internal Scheduler Scheduler { get; }

    /// <summary>The memories; null where there are none.</summary>
    internal MemoryLibrary? Library { get; }

    /// <summary>Starts to listen.</summary>
    /// <param name="engine">The model, which must not be disposed before the server.</param>
    /// <param name="model">Its name.</param>
    /// <param name="options">Where to listen, and how much to take on.</param>
    /// <param name="template">How the model is told a conversation.</param>
    /// <param name="logging">What becomes of notes; they are written nowhere when not given.</param>
    /// <exception cref="LandmarkException">
    /// An option makes no sense, the port is taken, or the file of keys or of the certificate cannot be read.
    /// </exception>
    public static async Task<LandmarkServer> Start(
        LandmarkEngine engine, string model, ServerOptions options, IChatTemplate template, Action<ILoggingBuilder>? logging = null)
    {
        options.Checked();
        var certificate = options.Certificate is null ? null : ServerCertificate.Load(options);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        logging?.Invoke(builder.Logging);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Listen(options.ListenAddress(), options.Port, listen =>
            {
                if (certificate is not null) listen.UseHttps(certificate.Options);
                listen.Use(next => connection => RequestLine.Pass(connection, next, kestrel.Limits.KeepAliveTimeout));
            });
        });
        if (certificate is not null) builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Services.AddSingleton<ServerLog>().AddSingleton(new BodyRoom(options));
        if (options.Keys is { } file)
            builder.Services
                .AddSingleton(all => new TokenBudget(file, options.TokensADay, all.GetRequiredService<ServerLog>(), TimeProvider.System))
                .AddSingleton(all => new KeyRing(
                    new KeyFile(file), all.GetRequiredService<TokenBudget>(), all.GetRequiredService<ServerLog>(), TimeProvider.System));
        builder.Services.AddRouting().AddOpenApi(openApi => ApiDocument.Describe(openApi, options.Keys is not null)).ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            json.SerializerOptions.PropertyNamingPolicy = ApiJson.Default.Options.PropertyNamingPolicy;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;              // as requests are read: a number in quotes is none
        });
        builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(ServerMetrics.Name, "Microsoft.AspNetCore.Hosting").AddPrometheusExporter());
        PageParts? page = null;
        builder.Services.AddPage(() => page!);
        var app = builder.Build();
        var log = app.Services.GetRequiredService<ServerLog>();
        var scheduler = new Scheduler(engine, options, log);
        app.Use(next => http => new RequestGuard(options, log).Pass(http, next));
        var keys = app.Services.GetService<KeyRing>();
        if (keys is not null) app.Use(next => http => keys.Pass(http, next));
        app.UseRouting();
        app.MapPrometheusScrapingEndpoint();
        var library = options.Memories is null ? null : new MemoryLibrary(engine, model, scheduler, options, log);
        var metrics = new ServerMetrics(scheduler, library);
        var notes = new AnswerNotes(log, metrics);
        new Endpoints(engine, model, template, scheduler, options, new Answering(scheduler, options, notes), library).Map(app);
        app.MapPage(page = library is null ? null : new PageParts(engine, model, template, scheduler, library, options, keys, notes));
        try
        {
            await Listen(app, options);
        }
        catch
        {
            if (library is not null) await library.DisposeAsync();
            throw;
        }
        scheduler.Start();
        library?.Resume(keys);
        var server = new LandmarkServer(app, scheduler, library, log, metrics, options);
        log.Listening(model, server.Address.ToString());
        if (!options.IsLocal && certificate is null) log.InTheClear(server.Address.ToString());
        return server;
    }

    /// <summary>Writes notes on stderr, a line each.</summary>
    /// <param name="logging">Where notes go.</param>
    /// <param name="json">Whether as JSON.</param>
    public static void LogToStandardError(ILoggingBuilder logging, bool json)
    {
        if (json) logging.AddJsonConsole();
        else logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss "));
        // What fails at the start is told by who started it.
        logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        logging.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    }

    /// <summary>Takes no more requests, lets answers end, as long as the options give them, and stops.</summary>
    public async Task Stop()
    {
        log.Stopping(options.GraceSeconds);
        if (Library is not null) await Library.Stop();
        await Scheduler.Stop(TimeSpan.FromSeconds(options.GraceSeconds));
        await app.StopAsync();
    }

    private static async Task Listen(WebApplication app, ServerOptions options)
    {
        try
        {
            await app.StartAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            await app.DisposeAsync();
            var taken = e is IOException ? "is taken by another program" : "may not be listened on";
            throw new LandmarkException($"The port {options.Port} of {options.Address} {taken}; choose another, or 0 for any that is free.", e);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        metrics.Dispose();
        if (Library is not null) await Library.DisposeAsync();
        Scheduler.Dispose();
        await app.DisposeAsync();
    }
}
