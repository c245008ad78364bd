using System.CommandLine;
using System.Globalization;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Access;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark keys</c>: who may ask a server, and how much.</summary>
internal static class KeysCommand
{
    public static Command Create() => new("keys", "Makes and revokes the keys that programs ask 'landmark serve' with.")
    {
        new CreateKey(), new ListKeys(), new RevokeKey(),
        new HelpWithExamples("landmark keys create anna --expires 90d", "landmark keys list", "landmark keys revoke anna").Option,
    };

    private static Option<string?> FileOption() =>
        new("--keys") { Description = "The key file; one in this user's configuration when not given.", HelpName = "FILE" };

    private static Argument<string> NameArgument(string description) => new("NAME") { Description = description };

    private static KeyFile Given(ParseResult parsed, Option<string?> file) => new(
        parsed.GetValue(file) ?? UserFolders.Keys
        ?? throw new LandmarkException("There is no folder for a key file here, since HOME names none; give a file by --keys."));

    private sealed class CreateKey : LandmarkCommand
    {
        private readonly Argument<string> name = NameArgument("Who gets it: small letters, digits, '.', '_' and '-'.");
        private readonly Option<string?> file = FileOption();
        private readonly Option<string?> expires =
            new("--expires") { Description = "After how long it lets nobody in: 12h, 90d or 8w; never when not given.", HelpName = "TIME" };
        private readonly Option<int?> concurrency = new("--concurrency") { Description = "Its requests that are computed at once.", HelpName = "N" };
        private readonly Option<int?> queue = new("--queue-length") { Description = "Its requests that may wait.", HelpName = "N" };
        private readonly Option<long?> tokens = new("--tokens-a-day") { Description = "Tokens read and generated for it in a day.", HelpName = "N" };
        private readonly Option<string?> upload =
            new("--upload") { Description = "Bytes of one document that it sends, such as 16MiB.", HelpName = "BYTES" };
        private readonly Option<string?> disk =
            new("--disk") { Description = "Bytes of its memories and documents on disk, such as 10GiB.", HelpName = "BYTES" };
        private readonly Option<string?> open =
            new("--open") { Description = "Bytes of landmark keys, and of indexes over them, of its memories that are open at once, such as 256MiB.", HelpName = "BYTES" };
        private readonly Option<string?> hot =
            new("--hot") { Description = "Bytes of blocks of its memories that are kept in RAM, such as 1GiB.", HelpName = "BYTES" };

        public CreateKey()
            : base(
                "create", "Makes a key and shows it, this once.", "keys create anna", "keys create batch --tokens-a-day 5000000 --concurrency 1",
                "keys create guest --expires 12h --keys team.json --json")
        {
            Arguments.Add(name);
            foreach (var option in (Option[])[expires, concurrency, queue, tokens, upload, disk, open, hot, file]) Options.Add(option);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            long? Bytes(Option<string?> option) => parsed.GetValue(option) is { } text ? ByteSize.Parse(text, option) : null;
            var (who, keys) = (parsed.GetValue(name)!, Given(parsed, file));
            var limits = new CallerLimits
            {
                Concurrency = parsed.GetValue(concurrency),
                QueueLength = parsed.GetValue(queue),
                TokensADay = parsed.GetValue(tokens),
                UploadBytes = Bytes(upload),
                DiskBytes = Bytes(disk),
                OpenBytes = Bytes(open),
                HotBytes = Bytes(hot),
            };
            var end = parsed.GetValue(expires) is { } time ? DateTimeOffset.UtcNow + Duration(time) : (DateTimeOffset?)null;
            var key = keys.Create(who, limits, end);
            output.Event(new { name = who, key, expires = end, file = keys.Path });
            output.Line($"The key of '{Markup.Escape(who)}', which is kept nowhere and shown this once:");
            output.Text($"{key}\n");
            return Tool.Success;
        }

        private static TimeSpan Duration(string text)
        {
            // A century is as good as never, and a date for certain.
            const int most = 100 * 366 * 24;
            if (text is [.. var count, ('h' or 'd' or 'w') and var unit] && int.TryParse(count, NumberStyles.None, null, out var number))
            {
                var hours = (long)number * (unit switch { 'h' => 1, 'd' => 24, _ => 7 * 24 });
                if (hours is > 0 and <= most) return TimeSpan.FromHours(hours);
            }
            throw new LandmarkException($"'{text}' is no time that a key can hold for; --expires takes such as 12h, 90d or 8w.");
        }
    }

    private sealed class ListKeys : LandmarkCommand
    {
        private readonly Option<string?> file = FileOption();

        public ListKeys()
            : base("list", "Lists the keys, their limits, and what they used today.", "keys list", "keys list --keys team.json --json") =>
            Options.Add(file);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var keys = Given(parsed, file);
            var (all, used, now) = (keys.Read(), keys.TokensToday(), DateTimeOffset.UtcNow);
            output.Event(new
            {
                file = keys.Path,
                keys = all.Select(k => new
                {
                    k.Name,
                    k.Created,
                    k.Expires,
                    expired = !k.Holds(now),
                    tokens_today = used.GetValueOrDefault(k.Name),
                    k.Limits,
                }),
            });
            if (all.Count == 0) output.Line("There are no keys in it; 'landmark keys create' makes one.");
            else
                output.Table(["key", "made", "holds until", "tokens today", "limits"], all.Select(k => new[]
                {
                    k.Name,
                    $"{k.Created:yyyy-MM-dd}",
                    k.Expires is not { } end ? "it is revoked" : k.Holds(now) ? $"{end:yyyy-MM-dd HH:mm} UTC" : "expired",
                    $"{used.GetValueOrDefault(k.Name):N0}",
                    Told(k.Limits),
                }));
            return Tool.Success;
        }

        private static string Told(CallerLimits limits) => string.Join(", ", new[]
        {
            limits.Concurrency is { } requests ? $"{requests} at once" : null,
            limits.QueueLength is { } waiting ? $"{waiting} waiting" : null,
            limits.TokensADay is { } tokens ? $"{tokens:N0} tokens a day" : null,
            limits.UploadBytes is { } upload ? $"{ByteSize.Text(upload)} a document" : null,
            limits.DiskBytes is { } disk ? $"{ByteSize.Text(disk)} on disk" : null,
            limits.OpenBytes is { } open ? $"{ByteSize.Text(open)} open" : null,
            limits.HotBytes is { } hot ? $"{ByteSize.Text(hot)} in RAM" : null,
        }.OfType<string>());
    }

    private sealed class RevokeKey : LandmarkCommand
    {
        private readonly Argument<string> name = NameArgument("The key's name, as 'landmark keys list' shows it.");
        private readonly Option<string?> file = FileOption();

        public RevokeKey()
            : base("revoke", "Takes a key out: servers that run let it in no more.", "keys revoke anna", "keys revoke anna --keys team.json")
        {
            Arguments.Add(name);
            Options.Add(file);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var (who, keys) = (parsed.GetValue(name)!, Given(parsed, file));
            keys.Revoke(who);
            output.Event(new { revoked = who, file = keys.Path });
            output.Line($"The key of '{Markup.Escape(who)}' lets nobody in any more.");
            return Tool.Success;
        }
    }
}
