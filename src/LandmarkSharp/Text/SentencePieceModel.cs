using System.Globalization;
using System.Text;
using Google.Protobuf;

namespace LandmarkSharp.Text;

/// <summary>
/// Reads a SentencePiece <c>.model</c> file of BPE type. What the file asks for and this reader does not do is
/// refused by name.
/// </summary>
internal static class SentencePieceModel
{
    private const int Bpe = 2;
    private static readonly string[] ModelTypes = ["?", "UNIGRAM", "BPE", "WORD", "CHAR"];

    private readonly record struct Piece(string Text, float Score, int Type);

    public static TokenizerParts Read(byte[] file, string path)
    {
        var pieces = new List<Piece>();
        var trainer = new TrainerSpec();
        var normalizer = new NormalizerSpec();
        var denormalizer = new NormalizerSpec();
        try
        {
            ReadMessage(file, (field, input) =>
            {
                switch (field)
                {
                    case 1: pieces.Add(ReadPiece(input.ReadBytes())); return true;
                    case 2: trainer.Read(input.ReadBytes()); return true;
                    case 3: normalizer.Read(input.ReadBytes()); return true;
                    case 5: denormalizer.Read(input.ReadBytes()); return true;
                    default: return false;
                }
            });
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or ArgumentException)
        {
            throw new LandmarkException(
                $"'{path}' is not a SentencePiece model (it does not read as one); give a tokenizer.model or a tokenizer.json.", e);
        }

        Check(path, pieces, trainer, normalizer, denormalizer);
        return Build(path, pieces, trainer, normalizer);
    }

    private static void Check(
        string path, List<Piece> pieces, TrainerSpec trainer, NormalizerSpec normalizer, NormalizerSpec denormalizer)
    {
        if (pieces.Count == 0)
            throw new LandmarkException(
                $"'{path}' is not a SentencePiece model: it holds no pieces; give a tokenizer.model or a tokenizer.json.");
        if (trainer.ModelType != Bpe)
        {
            var name = trainer.ModelType is >= 1 and <= 4 ? ModelTypes[trainer.ModelType] : $"number {trainer.ModelType}";
            throw new LandmarkException(
                $"'{path}' is a SentencePiece model of type {name}, which is not supported; train it with --model_type=bpe.");
        }

        var unsupported =
            trainer.SpaceAsSuffix ? "treat_whitespace_as_suffix"
            : !normalizer.EscapeSpaces ? "escape_whitespaces=false"
            : denormalizer.CharacterMap.Length > 0 ? "denormalizer_spec"
            : pieces.Exists(piece => piece.Type == 5) ? "pieces of type UNUSED"
            : null;
        if (unsupported is not null)
            throw new LandmarkException($"'{path}' asks for {unsupported}, which is not supported; train the tokenizer without it.");
    }

    private static TokenizerParts Build(
        string path, List<Piece> pieces, TrainerSpec trainer, NormalizerSpec normalizerSpec)
    {
        var entries = new Dictionary<int, VocabularyEntry>();
        for (var id = 0; id < pieces.Count; id++) entries[id] = Entry(pieces[id], trainer, path);
        var vocabulary = new Vocabulary(entries);

        var kinds = entries.Select(pair => (Id: pair.Key, pair.Value.Text, pair.Value.Kind)).ToList();
        var literals = new LiteralMatcher(kinds.Where(e => e.Kind == PieceKind.UserDefined).Select(e => (e.Text, e.Id)));
        var spellings = kinds.Where(e => e.Kind is PieceKind.Normal or PieceKind.UserDefined).ToList();
        var normalizer = new TextNormalizer
        {
            MarksSpaces = true,
            AddsPrefix = normalizerSpec.AddDummyPrefix,
            RemovesExtraSpaces = normalizerSpec.RemoveExtraSpaces,
            Map = normalizerSpec.CharacterMap.Length == 0 ? null : new CharacterMap(normalizerSpec.CharacterMap, path),
            Kept = literals,
        };

        var unknown = pieces.FindIndex(piece => piece.Type == 2);
        var byText = spellings.ToDictionary(e => e.Text, e => e.Id, StringComparer.Ordinal);
        var characters = byText.Where(pair => IsOneCharacter(pair.Key))
            .ToDictionary(pair => Rune.GetRuneAt(pair.Key, 0).Value, pair => pair.Value);
        var bos = ControlId(vocabulary, trainer.BosPiece);
        return new TokenizerParts
        {
            Kind = "SentencePiece BPE",
            Vocabulary = vocabulary,
            Splitter = new BoundarySplitter(normalizer, byText.Keys, literals),
            Encoder = new CharacterEncoder(
                characters, Merges(pieces, byText, characters), Bytes(vocabulary, trainer, path), unknown, fuseUnknown: true),
            AddedTokens = [.. kinds.Where(e => e.Kind == PieceKind.Control).Select(e => new AddedToken(e.Text, e.Id, Special: true))],
            StartRule = StartRule.AfterSpecial,
            LeadingSpace = normalizer.RemovesExtraSpaces ? LeadingSpace.AllRemoved
                : normalizer.AddsPrefix ? LeadingSpace.OneRemoved : LeadingSpace.Kept,
            BosId = bos,
            EosId = ControlId(vocabulary, trainer.EosPiece),
            Prefix = bos is { } id0 ? [id0] : [],
        };
    }

    // A merge is any two spellings that join into a third; better scores first, and equal scores are equal ranks.
    private static PairMerges Merges(
        List<Piece> pieces, Dictionary<string, int> byText, Dictionary<int, int> characters)
    {
        var ranks = new Dictionary<float, int>();
        foreach (var score in pieces.Select(piece => piece.Score).Distinct().OrderDescending()) ranks[score] = ranks.Count;

        int? Symbol(string text) =>
            byText.TryGetValue(text, out var id) ? id
            : IsOneCharacter(text) ? CharacterEncoder.SymbolOf(characters, Rune.GetRuneAt(text, 0)) : null;

        var merges = new PairMerges();
        foreach (var (text, id) in byText)
        {
            for (var at = 1; at < text.Length; at++)
            {
                if (!char.IsLowSurrogate(text[at]) && Symbol(text[..at]) is { } left && Symbol(text[at..]) is { } right)
                    merges.Add(left, right, ranks[pieces[id].Score], id);
            }
        }
        return merges;
    }

    private static int[]? Bytes(Vocabulary vocabulary, TrainerSpec trainer, string path)
    {
        if (!trainer.ByteFallback) return null;
        var bytes = new int[256];
        for (var b = 0; b < 256; b++)
        {
            bytes[b] = vocabulary.Find(ByteSpelling(b)) ?? throw new LandmarkException(
                $"'{path}' asks for byte_fallback but has no piece {ByteSpelling(b)}; train the tokenizer again.");
        }
        return bytes;
    }

    private static VocabularyEntry Entry(Piece piece, TrainerSpec trainer, string path) => piece.Type switch
    {
        1 => Entry(piece.Text, PieceKind.Normal, piece.Text.Replace(TextNormalizer.Mark, ' ')),
        2 => Entry(piece.Text, PieceKind.Unknown, trainer.UnknownSurface),
        3 => Entry(piece.Text, PieceKind.Control, ""),
        4 => Entry(piece.Text, PieceKind.UserDefined, piece.Text.Replace(TextNormalizer.Mark, ' ')),
        6 when ByteOf(piece.Text) is { } value => new VocabularyEntry(piece.Text, PieceKind.Byte, [value]),
        _ => throw new LandmarkException($"'{path}' holds the piece '{piece.Text}' of unknown type {piece.Type}; fetch the file again."),
    };

    private static VocabularyEntry Entry(string text, PieceKind kind, string shown) =>
        new(text, kind, Encoding.UTF8.GetBytes(shown));

    /// <summary>How the piece of a byte is spelled: <c>&lt;0x0A&gt;</c>.</summary>
    public static string ByteSpelling(int value) => $"<0x{value:X2}>";

    /// <summary>The byte that a spelling such as <c>&lt;0x0A&gt;</c> stands for, or null.</summary>
    public static byte? ByteOf(string text) =>
        text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && text[5] == '>'
        && byte.TryParse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value : null;

    private static bool IsOneCharacter(string text) =>
        text.Length == 1 || (text.Length == 2 && char.IsSurrogatePair(text[0], text[1]));

    private static int? ControlId(Vocabulary vocabulary, string text) =>
        vocabulary.Find(text) is { } id && vocabulary[id]!.Value.Kind == PieceKind.Control ? id : null;

    private static Piece ReadPiece(ByteString message)
    {
        var (text, score, type) = ("", 0f, 1);
        ReadMessage(message.Span.ToArray(), (field, input) =>
        {
            switch (field)
            {
                case 1: text = input.ReadString(); return true;
                case 2: score = input.ReadFloat(); return true;
                case 3: type = input.ReadInt32(); return true;
                default: return false;
            }
        });
        return new Piece(text, score, type);
    }

    private static void ReadMessage(byte[] message, Func<int, CodedInputStream, bool> read)
    {
        var input = new CodedInputStream(message);
        while (input.ReadTag() is not 0 and var tag)
        {
            if (!read(WireFormat.GetTagFieldNumber(tag), input)) input.SkipLastField();
        }
    }

    private sealed class TrainerSpec
    {
        public int ModelType { get; private set; } = 1;

        public bool SpaceAsSuffix { get; private set; }

        public bool ByteFallback { get; private set; }

        public string UnknownSurface { get; private set; } = " ⁇ ";

        public string BosPiece { get; private set; } = "<s>";

        public string EosPiece { get; private set; } = "</s>";

        public void Read(ByteString message) => ReadMessage(message.ToByteArray(), (field, input) =>
        {
            switch (field)
            {
                case 3: ModelType = input.ReadInt32(); return true;
                case 24: SpaceAsSuffix = input.ReadBool(); return true;
                case 35: ByteFallback = input.ReadBool(); return true;
                case 44: UnknownSurface = input.ReadString(); return true;
                case 46: BosPiece = input.ReadString(); return true;
                case 47: EosPiece = input.ReadString(); return true;
                default: return false;
            }
        });
    }

    private sealed class NormalizerSpec
    {
        public byte[] CharacterMap { get; private set; } = [];

        public bool AddDummyPrefix { get; private set; } = true;

        public bool RemoveExtraSpaces { get; private set; } = true;

        public bool EscapeSpaces { get; private set; } = true;

        public void Read(ByteString message) => ReadMessage(message.ToByteArray(), (field, input) =>
        {
            switch (field)
            {
                case 2: CharacterMap = input.ReadBytes().ToByteArray(); return true;
                case 3: AddDummyPrefix = input.ReadBool(); return true;
                case 4: RemoveExtraSpaces = input.ReadBool(); return true;
                case 5: EscapeSpaces = input.ReadBool(); return true;
                default: return false;
            }
        });
    }
}
