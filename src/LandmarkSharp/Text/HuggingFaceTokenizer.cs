using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace LandmarkSharp.Text;

/// <summary>
/// Reads a Hugging Face <c>tokenizer.json</c> of BPE type: byte-level (GPT-2, Llama 3, Qwen) and SentencePiece-like
/// (Llama 2, Mistral). Every component is either done or refused by name. Truncation and padding, which belong to the
/// batches of a training script, are not applied.
/// </summary>
internal static class HuggingFaceTokenizer
{
    public static TokenizerParts Read(byte[] file, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(file.AsMemory(file.AsSpan() is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0));
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return Build(new HuggingFaceJson(path, "", document.RootElement), path);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new LandmarkException($"'{path}' is not a tokenizer.json ({e.InBrief()}); fetch the file again.", e);
        }
        throw new LandmarkException($"'{path}' is not a tokenizer.json: it is no JSON object; give a tokenizer.json or a tokenizer.model.");
    }

    private static TokenizerParts Build(HuggingFaceJson root, string path)
    {
        var model = root.Component("model") ?? throw root.Wrong("model", "there");
        if (model.Type is not ("BPE" or null)) throw model.Unsupported($"a tokenizer of type {model.Type}");
        if (model.Field("dropout") is { } dropout && dropout.GetDouble() > 0) throw model.Unsupported("dropout");
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.String(affix) is { Length: > 0 }) throw model.Unsupported(affix);
        }

        var vocab = Vocab(model);
        var splitting = HuggingFaceSplitting.Read(root);
        var decoding = HuggingFaceDecoding.Read(root);
        var added = AddedTokens(root, splitting);
        var unknown = model.String("unk_token") is { } unk
            ? Id(vocab, unk) ?? throw new LandmarkException(
                $"'{path}' is damaged: model.unk_token '{unk}' is not in the vocabulary; fetch the file again.")
            : -1;
        if (splitting.ByteLevel != decoding.ByteLevel)
            throw root.Unsupported(splitting.ByteLevel
                ? "a ByteLevel pre_tokenizer with another decoder"
                : "a ByteLevel decoder with another pre_tokenizer");

        var byteFallback = model.Bool("byte_fallback", false);
        var ignoreMerges = model.Bool("ignore_merges", false);
        var merges = Merges(model, vocab, path);
        var fuse = model.Bool("fuse_unk", false);
        model.Done();
        if (ignoreMerges && !splitting.ByteLevel) throw model.Unsupported("ignore_merges without ByteLevel");
        if (fuse && !byteFallback && splitting.Rules.Count > 0) throw model.Unsupported("fuse_unk with a pre_tokenizer");

        var vocabulary = new Vocabulary(Entries(vocab, added, decoding, unknown));
        WordEncoder encoder = splitting.ByteLevel
            ? new ByteEncoder(ByteIds(vocab), merges, ignoreMerges ? WholeWords(vocab) : null)
            : new CharacterEncoder(CharacterIds(vocab), merges, byteFallback ? FallbackIds(vocab) : null, unknown, fuse);

        var (prefix, suffix) = HuggingFaceTemplate.Read(root, path);
        root.Ignore("version", "truncation", "padding").Done();
        return new TokenizerParts
        {
            Kind = splitting.ByteLevel ? "byte-level BPE" : "character BPE",
            Vocabulary = vocabulary,
            Encoder = encoder,
            // Words must not be split further where a rule looked at them whole.
            Splitter = splitting.ByteLevel || splitting.Rules.Count > 0
                ? new PatternSplitter(splitting.Normalizer, splitting.Rules)
                : new BoundarySplitter(splitting.Normalizer, vocab.Keys, new LiteralMatcher([])),
            AddedTokens = added,
            StartRule = splitting.StartRule,
            LeadingSpace = decoding.LeadingSpace,
            Prefix = prefix,
            Suffix = suffix,
        };
    }

    private static Dictionary<string, int> Vocab(HuggingFaceJson model)
    {
        if (model.Field("vocab") is not { ValueKind: JsonValueKind.Object } field)
            throw model.Wrong("vocab", "an object of pieces and ids");
        var vocab = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in field.EnumerateObject())
        {
            if (!entry.Value.TryGetInt32(out var id) || id < 0) throw model.Wrong($"vocab['{entry.Name}']", "an id");
            vocab[entry.Name] = id;
        }
        return vocab;
    }

    private static PairMerges Merges(HuggingFaceJson model, Dictionary<string, int> vocab, string path)
    {
        if (model.Field("merges") is not { ValueKind: JsonValueKind.Array } field) throw model.Wrong("merges", "a list");
        var merges = new PairMerges();
        var rank = 0;
        foreach (var merge in field.EnumerateArray())
        {
            // Written "a b", or in newer files ["a", "b"].
            string?[] pair = merge.ValueKind switch
            {
                JsonValueKind.String => [.. merge.GetString()!.Split(' ')],
                JsonValueKind.Array => [.. merge.EnumerateArray().Select(part => part.GetString())],
                _ => [],
            };
            if (pair is not [{ } left, { } right]) throw model.Wrong($"merges[{rank}]", "a pair");
            int Piece(string text) => Id(vocab, text) ?? throw new LandmarkException(
                $"'{path}' is damaged: model.merges[{rank}] needs the piece '{text}', "
                + "which is not in the vocabulary; fetch the file again.");
            merges.Add(Piece(left), Piece(right), rank++, Piece(left + right));
        }
        return merges;
    }

    private static List<AddedToken> AddedTokens(HuggingFaceJson root, HuggingFaceSplitting splitting)
    {
        var tokens = new List<AddedToken>();
        foreach (var entry in root.Components("added_tokens"))
        {
            var text = entry.String("content") ?? throw entry.Wrong("content", "a string");
            var token = new AddedToken(text, entry.Int("id", -1), entry.Bool("special", false))
            {
                TakesSpaceBefore = entry.Bool("lstrip", false),
                TakesSpaceAfter = entry.Bool("rstrip", false),
                WholeWord = entry.Bool("single_word", false),
            };
            if (token.Id < 0) throw entry.Wrong("id", "an id");
            // Such a token is looked for in the normalised text; that is the text itself unless a rule changes the token.
            if (entry.Bool("normalized", false) && !token.Special && splitting.Normalizer.Normalize(text, atStart: true).Text != text)
                throw entry.Unsupported($"the normalized added token '{text}'");
            entry.Done();
            tokens.Add(token);
        }
        return tokens;
    }

    private static Dictionary<int, VocabularyEntry> Entries(
        Dictionary<string, int> vocab, List<AddedToken> added, HuggingFaceDecoding decoding, int unknown)
    {
        var entries = new Dictionary<int, VocabularyEntry>(vocab.Count + added.Count);
        foreach (var (text, id) in vocab) entries[id] = decoding.Entry(text, id == unknown ? PieceKind.Unknown : PieceKind.Normal);
        foreach (var token in added) entries[token.Id] = Entry(token);
        return entries;
    }

    /// <summary>How an added token stands in the vocabulary: shown as it is spelled, or not at all.</summary>
    public static VocabularyEntry Entry(AddedToken token) => token.Special
        ? new VocabularyEntry(token.Text, PieceKind.Control, [])
        : new VocabularyEntry(token.Text, PieceKind.UserDefined, Encoding.UTF8.GetBytes(token.Text));

    private static int? Id(Dictionary<string, int> vocab, string text) => vocab.TryGetValue(text, out var id) ? id : null;

    private static int[] ByteIds(Dictionary<string, int> vocab) =>
        [.. Enumerable.Range(0, 256).Select(b => Id(vocab, ByteAlphabet.Spell(b).ToString()) ?? -1)];

    private static Dictionary<int, int> CharacterIds(Dictionary<string, int> vocab) => vocab
        .Where(entry => Rune.TryGetRuneAt(entry.Key.Length == 0 ? " " : entry.Key, 0, out var rune)
            && rune.Utf16SequenceLength == entry.Key.Length)
        .ToDictionary(entry => Rune.GetRuneAt(entry.Key, 0).Value, entry => entry.Value);

    // As Hugging Face: bytes back up the vocabulary only if all of them are there.
    private static int[]? FallbackIds(Dictionary<string, int> vocab)
    {
        int?[] ids = [.. Enumerable.Range(0, 256).Select(b => Id(vocab, SentencePieceModel.ByteSpelling(b)))];
        return ids.All(id => id is not null) ? [.. ids.Select(id => id!.Value)] : null;
    }

    private static Dictionary<string, int> WholeWords(Dictionary<string, int> vocab)
    {
        var words = new Dictionary<string, int>(vocab.Count, StringComparer.Ordinal);
        foreach (var (text, id) in vocab)
        {
            if (ByteAlphabet.Read(text) is not { } bytes || !Utf8.IsValid(bytes)) continue;
            words[Encoding.UTF8.GetString(bytes)] = id;
        }
        return words;
    }
}
