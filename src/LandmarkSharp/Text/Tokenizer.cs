using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Text to tokens and back, as the model at hand was trained: SentencePiece <c>.model</c> files and Hugging Face
/// <c>tokenizer.json</c> files of byte-pair type. Immutable, and safe to use from several threads.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts parts;
    private readonly AddedTokens addedTokens;
    private readonly Lazy<string> fingerprint;

    internal Tokenizer(TokenizerParts parts)
    {
        this.parts = parts;
        addedTokens = new AddedTokens(parts.AddedTokens);
        fingerprint = new Lazy<string>(parts.Vocabulary.Fingerprint);
    }

    /// <summary>What sort of tokenizer this is, for people: "SentencePiece BPE", "byte-level BPE".</summary>
    public string Kind => parts.Kind;

    /// <summary>
    /// The largest token id the tokenizer itself can give, plus one, added tokens included. A model's table may have
    /// more rows: a landmark, padding.
    /// </summary>
    public int VocabularySize => parts.Vocabulary.Count;

    /// <summary>The token that marks the start of a text, if there is one.</summary>
    public int? BosId => parts.BosId;

    /// <summary>The token that marks the end of a text, if there is one.</summary>
    public int? EosId => parts.EosId;

    /// <summary>Whether <see cref="Encode"/> with special tokens puts <see cref="BosId"/> first.</summary>
    public bool AddsBos => BosId is { } id && parts.Prefix.Contains(id);

    /// <summary>
    /// A hash of every token's id and spelling (SHA-256, lower-case hexadecimal): equal for equal vocabularies, on any
    /// machine. It ties token files and saved memories to the tokenizer that made them.
    /// </summary>
    public string Fingerprint => fingerprint.Value;

    /// <summary>
    /// Loads a tokenizer from a model folder (its <c>tokenizer.json</c>, else its <c>tokenizer.model</c>) or from such
    /// a file.
    /// </summary>
    /// <exception cref="LandmarkException">
    /// The path does not exist, holds no tokenizer, is damaged, or asks for something that is not supported; the
    /// message names it.
    /// </exception>
    public static Tokenizer Load(string path) => TokenizerFiles.Load(path);

    /// <summary>Turns a text into tokens.</summary>
    /// <param name="text">Any text. Unpaired surrogates count as U+FFFD.</param>
    /// <param name="addSpecial">Whether the marks that the model expects around a text (its start) are added.</param>
    /// <param name="parseSpecial">
    /// Whether special tokens spelled out in the text (<c>&lt;/s&gt;</c>) become those tokens. Leave it off for text
    /// that others wrote: it is then plain characters.
    /// </param>
    /// <param name="atStart">
    /// Whether the text starts here. Pass false for text that goes on after other tokens: no leading space is put
    /// before it.
    /// </param>
    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false, bool atStart = true)
    {
        var ids = new List<int>(text.Length / 3 + 4);
        if (addSpecial) ids.AddRange(parts.Prefix);
        foreach (var fragment in Fragments(text, atStart, parseSpecial)) Append(fragment, ids);
        if (addSpecial) ids.AddRange(parts.Suffix);
        return [.. ids];
    }

    /// <summary>
    /// Encodes a text of any length as it is read, in bounded memory. The pieces, joined, are the tokens that
    /// <see cref="Encode"/> gives for the whole text; special tokens are neither added nor read from it.
    /// </summary>
    /// <remarks>
    /// The text is cut where no token can reach across, which ordinary text allows every few characters. Where it
    /// allows no cut for <see cref="PieceEncoder.HoldBackLimit"/> characters (a run of one letter that long), it is
    /// cut anyway; the tokens next to such a cut may then differ, but still decode to the same text.
    /// </remarks>
    /// <param name="reader">The text; read to its end, not disposed.</param>
    /// <param name="pieceChars">How many UTF-16 units to read at a time.</param>
    /// <param name="atStart">Whether the text starts here, as for <see cref="Encode"/>.</param>
    public IEnumerable<int[]> EncodePieces(TextReader reader, int pieceChars = 65536, bool atStart = true)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pieceChars, 1);
        return new PieceEncoder(this, reader, pieceChars, atStart).Pieces();
    }

    /// <summary>
    /// Turns tokens into text. Marks such as the start of text, and ids without a piece, give no text; bytes that are
    /// no UTF-8 give U+FFFD. Spacing is exactly what the pieces say: <c>clean_up_tokenization_spaces</c>, which
    /// rewrites text, is not applied.
    /// </summary>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var decoder = CreateDecoder();
        var text = new StringBuilder(ids.Length * 4);
        foreach (var id in ids) text.Append(decoder.Push(id));
        return text.Append(decoder.Flush()).ToString();
    }

    /// <summary>A decoder that takes tokens one by one.</summary>
    /// <param name="atStart">
    /// Whether the text starts with the first token. Pass false for an answer that goes on after a prompt: a leading
    /// space is then part of the text.
    /// </param>
    public StreamingDecoder CreateDecoder(bool atStart = true) => new(parts.Vocabulary, parts.LeadingSpace, !atStart);

    /// <summary>How a token is spelled in the tokenizer's own file (<c>▁the</c>, <c>&lt;0x0A&gt;</c>).</summary>
    /// <exception cref="LandmarkException">The tokenizer has no such token.</exception>
    public string Piece(int id) => parts.Vocabulary[id]?.Text ?? throw new LandmarkException(
        $"The tokenizer has no token {id}; its ids go from 0 to {VocabularySize - 1}.");

    /// <summary>The bytes that a token adds to a text: part of a character, or several; none for marks and ids without a piece.</summary>
    public ReadOnlySpan<byte> Bytes(int id) => parts.Vocabulary[id]?.Bytes;

    /// <summary>The token with exactly this spelling in the tokenizer's own file, or null.</summary>
    public int? Find(string piece) => parts.Vocabulary.Find(piece);

    /// <summary>Whether a token is a mark that is never shown as text.</summary>
    public bool IsSpecial(int id) => parts.Vocabulary[id]?.Kind == PieceKind.Control;

    /// <summary>The fingerprint that this tokenizer has once the landmark is added to its files.</summary>
    internal string FingerprintWithLandmark() => parts.Vocabulary
        .With(VocabularySize, new VocabularyEntry(LandmarkToken.Text, PieceKind.Control, [])).Fingerprint();

    internal int LongestAddedToken => addedTokens.LongestOrdinary;

    /// <summary>The tokens of a text in which special tokens are read, but not where others wrote it.</summary>
    internal int[] EncodeGiven(string text, IReadOnlyList<Range> given)
    {
        var ids = new List<int>((text.Length / 3) + 4);
        foreach (var fragment in Fragments(text, atStart: true, parseSpecial: true, given)) Append(fragment, ids);
        return [.. ids];
    }

    internal IEnumerable<Fragment> Fragments(string text, bool atStart, bool parseSpecial, IReadOnlyList<Range>? given = null)
    {
        foreach (var (start, end, token) in addedTokens.Split(text, parseSpecial, given))
        {
            if (token is not null)
            {
                yield return new Fragment(text, start, end - start, token.Id, Fragment.NoCut);
                atStart = parts.StartRule == StartRule.AfterAdded || (parts.StartRule == StartRule.AfterSpecial && token.Special);
                continue;
            }

            var first = true;
            foreach (var fragment in parts.Splitter.Split(end - start == text.Length ? text : text[start..end], atStart))
            {
                // Where a stretch starts is known only with the added token before it: no cut there.
                yield return fragment with { Cut = first || fragment.Cut < 0 ? Fragment.NoCut : fragment.Cut + start };
                first = false;
            }
            atStart = false;
        }
    }

    internal void Append(Fragment fragment, List<int> ids)
    {
        if (fragment.Id >= 0)
            ids.Add(fragment.Id);
        else
            parts.Encoder.Encode(fragment.Span, ids);
    }
}
