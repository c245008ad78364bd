using System.CommandLine;
using System.Globalization;
using LandmarkSharp.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark tokenizer</c>: text to tokens, tokens to text, texts to shards.</summary>
internal static class TokenizerCommand
{
    public static Command Create() => new("tokenizer", "Works with a model's tokenizer.")
    {
        new Encode(), new Decode(), new Show(), new Shards(),
        new HelpWithExamples("landmark tokenizer encode \"The grass is green.\"", "landmark tokenizer info --json").Option,
    };

    private static Option<string?> PathOption() =>
        new("--tokenizer") { Description = "Tokenizer file or model folder; the model that ships when not given.", HelpName = "PATH" };

    private static Tokenizer Load(ParseResult parsed, Option<string?> path) =>
        Tokenizer.Load(parsed.GetValue(path) ?? ModelOptions.Shipped);

    private sealed class Encode : LandmarkCommand
    {
        private readonly Argument<string?> text =
            new("TEXT") { Description = "The text; standard input when not given.", Arity = ArgumentArity.ZeroOrOne };
        private readonly Option<string?> path = PathOption();

        public Encode()
            : base("encode", "Turns a text into tokens.", "tokenizer encode \"The grass is green.\"", "tokenizer encode --json < book.txt")
        {
            Arguments.Add(text);
            Options.Add(path);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var tokenizer = Load(parsed, path);
            var ids = parsed.GetValue(text) is { } given
                ? tokenizer.Encode(given)
                : [.. tokenizer.EncodePieces(TextInput.Open(null)).SelectMany(piece => piece)];
            output.Event(new { count = ids.Length, ids, pieces = ids.Select(tokenizer.Piece) });
            output.Text(string.Join(' ', ids) + "\n");
            return Tool.Success;
        }
    }

    private sealed class Decode : LandmarkCommand
    {
        private readonly Argument<string[]> ids =
            new("ID") { Description = "Token ids; standard input when none is given.", Arity = ArgumentArity.ZeroOrMore };
        private readonly Option<string?> path = PathOption();

        public Decode()
            : base("decode", "Turns tokens into text.", "tokenizer decode 17 4 912")
        {
            Arguments.Add(ids);
            Options.Add(path);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var tokenizer = Load(parsed, path);
            var given = parsed.GetValue(ids) is { Length: > 0 } words
                ? words
                : TextInput.Open(null).ReadToEnd().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            var numbers = Array.ConvertAll(given, word =>
                int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id < tokenizer.VocabularySize
                    ? id
                    : throw new LandmarkException(
                        $"'{(word.Length > 40 ? word[..40] + "…" : word)}' is no token; "
                        + $"ids go from 0 to {tokenizer.VocabularySize - 1}."));
            var text = tokenizer.Decode(numbers);
            output.Event(new { text });
            output.Text(text + "\n");
            return Tool.Success;
        }
    }

    private sealed class Show : LandmarkCommand
    {
        private readonly Option<string?> path = PathOption();

        public Show()
            : base("info", "Describes a tokenizer.", "tokenizer info", "tokenizer info --tokenizer models/llama") =>
            Options.Add(path);

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var t = Load(parsed, path);
            output.Event(
                new { t.Kind, vocabulary_size = t.VocabularySize, bos = t.BosId, eos = t.EosId, adds_bos = t.AddsBos, t.Fingerprint });
            output.Table(["", ""],
            [
                ["kind", t.Kind], ["tokens", $"{t.VocabularySize}"], ["begins a text", $"{t.BosId}{(t.AddsBos ? ", put first" : "")}"],
                ["ends a text", $"{t.EosId}"], ["fingerprint", t.Fingerprint],
            ]);
            return Tool.Success;
        }
    }

    private sealed class Shards : LandmarkCommand
    {
        private readonly Option<string?> path = PathOption();
        private readonly Option<string> folder = new("--out") { Description = "Folder to write.", Required = true, HelpName = "DIR" };
        private readonly Option<string[]> sources = new("--source")
        {
            Description = "A name, and a text file or a folder of *.txt files; once for each source.",
            Required = true,
            HelpName = "NAME=PATH",
        };

        public Shards()
            : base(
                "shards", "Turns text files into token shards for training.",
                "tokenizer shards --tokenizer tokenizer.model --out tokens/train --source books=books/train --source math=math/train")
        {
            Options.Add(path);
            Options.Add(folder);
            Options.Add(sources);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var named = Array.ConvertAll(parsed.GetValue(sources)!, source =>
                source.Split('=', 2) is [{ Length: > 0 } name, { Length: > 0 } from]
                    ? (name, from)
                    : throw new LandmarkException($"The source '{source}' has no name; write NAME=PATH."));
            var meta = new TokenShardsBuilder(Load(parsed, path)).Build(parsed.GetValue(folder)!, named, cancel);
            output.Event(new { sources = meta.Sources.Select(s => new { s.Name, s.Tokens, documents = s.Documents.Count }) });
            output.Table(["source", "documents", "tokens"],
                meta.Sources.Select(s => new[] { s.Name, $"{s.Documents.Count}", $"{s.Tokens:N0}" }));
            return Tool.Success;
        }
    }
}
