using System.CommandLine;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using Spectre.Console;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark memory</c>: makes memory files and looks after them.</summary>
internal static class MemoryCommand
{
    public static Command Create() => new("memory", "Makes memories of documents, which are kept in a file.")
    {
        new CreateFile(), new MemoryAddCommand(), new MemorySearchCommand(), new Remove(), new Show(), new Describe(), new Check(), new Compact(),
        new HelpWithExamples(
            "landmark memory create books.memory", "landmark memory add books.memory moby-dick.txt", "landmark memory list books.memory").Option,
    };

    internal static Argument<string> FileArgument() => new("FILE") { Description = "The memory file." };

    private static string Plural(long count, string what) => $"{count:N0} {what}{(count == 1 ? "" : "s")}";

    private sealed class CreateFile : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();
        private readonly Option<string> blockType = new("--block-type")
        {
            Description = "What keys and values are kept as: float32, bfloat16 (half the file) or int8 (a quarter).",
            DefaultValueFactory = _ => "float32",
            HelpName = "TYPE",
        };
        private readonly MemoryModelOptions model = new();

        public CreateFile()
            : base(
                "create", "Makes a memory file with nothing in it.", "memory create books.memory",
                "memory create books.memory --model llama-landmark --block-type int8")
        {
            Arguments.Add(file);
            Options.Add(blockType);
            model.AddTo(this);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var (path, type) = (parsed.GetValue(file)!, ModelOptions.BlockType(parsed.GetValue(blockType))!.Value);
            using var engine = model.LoadEngine(parsed);
            using var writer = MemoryFileWriter.Create(path, engine.MemoryModel(), type);
            output.Event(new { file = path, type = Name(type) });
            output.Line($"{Markup.Escape(path)} is there; 'landmark memory add' reads documents into it.");
            return Tool.Success;
        }
    }

    private sealed class Remove : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();
        private readonly Argument<string[]> names =
            new("NAME") { Description = "Names of documents, as 'landmark memory list' shows them.", Arity = ArgumentArity.ZeroOrMore };
        private readonly Option<string[]> session =
            new("--session") { Description = "The name of a session to remove; may be given more than once.", HelpName = "NAME" };

        public Remove()
            : base(
                "remove", "Removes documents and sessions from a memory file.", "memory remove books.memory moby-dick.txt",
                "memory remove books.memory --session lighthouses")
        {
            Arguments.Add(file);
            Arguments.Add(names);
            Options.Add(session);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var path = parsed.GetValue(file)!;
            string[] given = [.. parsed.GetValue(names)!.Distinct()], sessions = [.. (parsed.GetValue(session) ?? []).Distinct()];
            if (given.Length + sessions.Length == 0)
                throw new LandmarkException("Nothing is named; give names of documents to remove, or of sessions by --session.");
            using (var writer = MemoryFileWriter.Open(path))
            {
                foreach (var name in given) writer.Documents.Remove(name);
                foreach (var name in sessions) writer.Sessions.Remove(name);
                writer.Commit();
            }
            using var memory = MemoryFile.Open(path);
            var free = memory.Bytes - memory.UsedBytes;
            output.Event(new
            {
                removed = given,
                removed_sessions = sessions,
                documents = memory.Documents.Count,
                sessions = memory.Sessions.Count,
                free_bytes = free,
            });
            var (documents, kept) = (Plural(given.Length, "document"), Plural(sessions.Length, "session"));
            var removed = sessions.Length == 0 ? documents : given.Length == 0 ? kept : $"{documents} and {kept}";
            output.Line($"{removed} removed; 'landmark memory compact' gives {ByteSize.Text(free)} back.");
            return Tool.Success;
        }
    }

    private sealed class Show : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();

        public Show()
            : base("list", "Lists the documents and sessions of a memory file.", "memory list books.memory", "memory list books.memory --json") =>
            Arguments.Add(file);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            using var memory = MemoryFile.Open(parsed.GetValue(file)!);
            output.Event(new { documents = memory.Documents.Select(Told), sessions = memory.Sessions.Select(Told) });
            if (memory.Documents.Count + memory.Sessions.Count == 0) output.Line("There is nothing in it; 'landmark memory add' reads documents into it.");
            if (memory.Documents.Count > 0) Table("document", memory.Documents, output);
            if (memory.Sessions.Count > 0) Table("session", memory.Sessions, output);
            return Tool.Success;
        }

        private static object Told(MemoryEntry entry) => new
        {
            entry.Name,
            entry.Complete,
            entry.Tokens,
            entry.Blocks,
            entry.Bytes,
            entry.From,
            replaced_by_tokens = entry.Next?.Tokens,
            read = entry.Read?.Select(d => d.Name),
        };

        private static void Table(string what, IReadOnlyList<MemoryEntry> entries, Output output) => output.Table(
            [what, "tokens", "blocks", "text", ""],
            entries.Select(e => new[] { e.Name, $"{e.Tokens:N0}", $"{e.Blocks:N0}", ByteSize.Text(e.Bytes), Note(e) }));

        private static string Note(MemoryEntry entry) =>
            entry.Next is { } next ? $"{next.Tokens:N0} tokens of what replaces it"
            : !entry.Complete ? "not complete"
            : entry.From is { } from ? $"went on from '{from}'" : "";
    }

    private sealed class Describe : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();

        public Describe()
            : base("info", "Describes a memory file: its model, and what takes how many bytes.", "memory info books.memory") => Arguments.Add(file);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            using var memory = MemoryFile.Open(parsed.GetValue(file)!);
            var (model, bytes, used) = (memory.Model, memory.BytesByKind, memory.UsedBytes);
            var other = used - bytes.Blocks - bytes.Landmarks - bytes.Tokens - bytes.Text - bytes.Hashes;
            output.Event(new
            {
                memory.Sequence,
                type = Name(memory.Type),
                model,
                documents = memory.Documents.Count,
                sessions = memory.Sessions.Count,
                tokens = memory.Documents.Sum(d => d.Tokens),
                file_bytes = memory.Bytes,
                used_bytes = used,
                free_bytes = memory.Bytes - used,
                bytes = new { bytes.Blocks, bytes.Landmarks, bytes.Tokens, bytes.Text, bytes.Hashes, other },
            });
            output.Table(["", ""],
            [
                ["model", $"{model.Layers} layers, {model.Heads} key-value heads of {model.HeadDim}, blocks of {model.BlockTokens} tokens"],
                ["fingerprint", model.Fingerprint], ["tokenizer", model.Tokenizer], ["keys and values", Name(memory.Type)],
                ["holds", $"{Plural(memory.Documents.Count, "document")} of {memory.Documents.Sum(d => d.Tokens):N0} tokens, {Plural(memory.Sessions.Count, "session")}"],
                ["commit", $"{memory.Sequence:N0}"], ["file", $"{ByteSize.Text(memory.Bytes)}, of which {ByteSize.Text(memory.Bytes - used)} are free"],
                ["blocks", ByteSize.Text(bytes.Blocks)], ["landmark keys", ByteSize.Text(bytes.Landmarks)], ["tokens", ByteSize.Text(bytes.Tokens)],
                ["text", ByteSize.Text(bytes.Text)], ["hashes", ByteSize.Text(bytes.Hashes)], ["all else", ByteSize.Text(other)],
            ]);
            return Tool.Success;
        }
    }

    private sealed class Check : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();

        public Check()
            : base("check", "Reads all of a memory file and says what is damaged; exit code 1 if something is.", "memory check books.memory") =>
            Arguments.Add(file);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            using var memory = MemoryFile.Open(parsed.GetValue(file)!);
            var damage = memory.Check(cancel);
            output.Event(new { whole = damage.Count == 0, damage = damage.Select(d => new { d.Owner, d.Part }) });
            foreach (var part in damage) output.Text($"Damaged: {part}.\n");
            string[] owners = [.. damage.Select(d => d.Owner).OfType<string>().Distinct()];
            output.Line(
                damage.Count == 0 ? $"All {ByteSize.Text(memory.UsedBytes)} are as they were written."
                : owners.Length == 0 ? "All documents and sessions are whole."
                : $"Remove or replace {Markup.Escape(string.Join(", ", owners))}, or restore the file from a copy; all else is whole.");
            return damage.Count == 0 ? Tool.Success : Tool.Failed;
        }
    }

    private sealed class Compact : LandmarkCommand
    {
        private readonly Argument<string> file = FileArgument();

        public Compact()
            : base("compact", "Writes a memory file anew without what was removed.", "memory compact books.memory") => Arguments.Add(file);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var path = parsed.GetValue(file)!;
            var before = Bytes(path);
            using (var writer = MemoryFileWriter.Open(path)) writer.Compact(cancel);
            var after = Bytes(path);
            output.Event(new { before_bytes = before, after_bytes = after });
            output.Line($"{ByteSize.Text(before)} before, {ByteSize.Text(after)} now.");
            return Tool.Success;
        }

        private static long Bytes(string path)
        {
            using var memory = MemoryFile.Open(path);
            return memory.Bytes;
        }
    }

    private static string Name(torch.ScalarType type) => type.ToString().ToLowerInvariant();
}
