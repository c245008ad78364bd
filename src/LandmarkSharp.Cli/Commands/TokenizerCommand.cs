using System.CommandLine;
using System.Globalization;
using LandmarkSharp.Text;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark tokenizer</c>: text to tokens, tokens to text, texts to shards.</summary>
internal static class TokenizerCommand
{
    public static Command Create() => new("tokenizer", "Works with a model's tokenizer.")
    {
        new Encode(), new Decode(), new Show(), new TokenShardsCommand(),
        new HelpWithExamples("landmark tokenizer encode \"The grass is green.\"", "landmark tokenizer info --json").Option,
    };

    internal static Option<string?> PathOption() =>
        new("--tokenizer") { Description = "Tokenizer file or model folder; the model that ships when not given.", HelpName = "PATH" };

    internal static Tokenizer Load(ParseResult parsed, Option<string?> path) =>
        Tokenizer.Load(parsed.GetValue(path) ?? ShippedModel.Folder);

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
}
