using System.Security.Cryptography;
using System.Text;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Cli;

/// <summary>
/// The text a command reads, with a sum over its bytes: when its tokens spell the same bytes, a passage's place in them is a place
/// in the file. Where they do not (another encoding, a PDF, a tokenizer that rewrites), no place is better than a wrong one.
/// </summary>
internal sealed class PlacedText : IDisposable
{
    private static readonly byte[] Mark = [0xEF, 0xBB, 0xBF];       // U+FEFF at a file's start, which is no part of the text
    private readonly SHA256 sum = SHA256.Create();

    /// <summary>Opens it as <see cref="TextInput.Open"/> does.</summary>
    public PlacedText(string? path) => Reader = TextInput.Open(path, bytes => new CryptoStream(bytes, sum, CryptoStreamMode.Read));

    public TextReader Reader { get; }

    /// <summary>Blocks as passages, placed in the bytes that were read. To be asked when all has been.</summary>
    /// <param name="engine">Whose tokens they are.</param>
    /// <param name="tokens">The session's tokens.</param>
    /// <param name="ofText">How many of them are the text's; a prompt may follow.</param>
    /// <param name="blocks">The blocks.</param>
    public IReadOnlyList<Passage> Passages(LandmarkEngine engine, IReadOnlyList<int> tokens, int ofText, IEnumerable<long> blocks)
    {
        var start = Start(engine, tokens.Take(ofText));
        return [.. engine.Passages(tokens, blocks).Select(p => p with
        {
            FirstByte = start is { } bytes ? p.FirstByte + bytes : null,
            FirstCharacter = start is null ? null : p.FirstCharacter,
        })];
    }

    public void Dispose()
    {
        Reader.Dispose();
        sum.Dispose();
    }

    /// <summary>Bytes before the first character; null where the tokens do not spell what was read.</summary>
    private int? Start(LandmarkEngine engine, IEnumerable<int> tokens)
    {
        using var plain = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var marked = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        marked.AppendData(Mark);
        var decoder = engine.Tokenizer.CreateDecoder();
        foreach (var token in tokens) Add(decoder.Push(token));
        Add(decoder.Flush());
        return plain.GetHashAndReset().AsSpan().SequenceEqual(sum.Hash) ? 0
            : marked.GetHashAndReset().AsSpan().SequenceEqual(sum.Hash) ? Mark.Length : null;

        void Add(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            plain.AppendData(bytes);
            marked.AppendData(bytes);
        }
    }
}
