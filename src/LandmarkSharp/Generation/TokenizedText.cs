using System.Buffers;
using System.IO.Hashing;
using System.Text;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Text;

namespace LandmarkSharp.Generation;

/// <summary>
/// A text as it is read token by token, each with the bytes that it spells: those of a character whose bytes lie in several tokens
/// belong to the last of them, as in a <see cref="Passage"/>. Begins with the mark that the model expects at a text's start.
/// </summary>
/// <param name="engine">Whose tokens.</param>
/// <param name="reader">The text; read as it is needed, not disposed.</param>
internal sealed class TokenizedText(LandmarkEngine engine, TextReader reader)
{
    private readonly StreamingDecoder decoder = engine.Tokenizer.CreateDecoder();
    private readonly XxHash3 given = new(), spelled = new();
    private readonly List<int> tokens = [], starts = [];        // of what is at hand
    private readonly ArrayBufferWriter<byte> bytes = new();
    private IEnumerator<int[]>? pieces;

    /// <summary>Whether there is no text after what is at hand.</summary>
    public bool IsRead { get; private set; }

    /// <summary>Whether the tokens spell the text that was given, which is known when <see cref="IsRead"/>.</summary>
    public bool IsVerbatim => given.GetCurrentHashAsUInt64() == spelled.GetCurrentHashAsUInt64();

    /// <summary>The tokens at hand.</summary>
    public IReadOnlyList<int> Tokens => tokens;

    /// <summary>Has so many tokens at hand, if the text has them.</summary>
    /// <returns>How many of them there are.</returns>
    /// <exception cref="LandmarkException">The text spells a token that is not the model's.</exception>
    public int Read(int count)
    {
        if (pieces is null)
        {
            if (engine.Tokenizer is { AddsBos: true, BosId: { } mark }) Push([mark]);
            pieces = engine.Tokenizer.EncodePieces(new WitnessedReader(reader, given)).GetEnumerator();
        }
        while (tokens.Count < count && !IsRead)
        {
            if (pieces.MoveNext())
            {
                Push(pieces.Current);
                continue;
            }
            IsRead = true;
            Spell(decoder.Flush());
        }
        return Math.Min(count, tokens.Count);
    }

    /// <summary>Takes the first of the tokens at hand.</summary>
    /// <param name="count">How many, at least 1. Of the last token all is known if one more was asked for before.</param>
    public SegmentText Take(int count)
    {
        var end = count < tokens.Count ? starts[count] : bytes.WrittenCount;
        var text = new SegmentText([.. tokens[..count]], [.. starts[..count]], bytes.WrittenSpan[..end].ToArray());
        var rest = bytes.WrittenSpan[end..].ToArray();
        bytes.ResetWrittenCount();
        bytes.Write(rest);
        tokens.RemoveRange(0, count);
        starts.RemoveRange(0, count);
        for (var i = 0; i < starts.Count; i++) starts[i] -= end;
        return text;
    }

    private void Push(int[] more)
    {
        engine.RequireRegular(more);
        foreach (var token in more)
        {
            tokens.Add(token);
            starts.Add(bytes.WrittenCount);
            Spell(decoder.Push(token));
        }
    }

    private void Spell(string text)
    {
        var length = Encoding.UTF8.GetBytes(text, bytes.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length)));
        bytes.Advance(length);
        spelled.Append(bytes.WrittenSpan[^length..]);
    }

    /// <summary>Passes a text on and hashes it, as UTF-8.</summary>
    private sealed class WitnessedReader(TextReader inner, XxHash3 sum) : TextReader
    {
        private readonly Encoder encoder = Encoding.UTF8.GetEncoder();

        public override int Read(char[] buffer, int index, int count)
        {
            var read = inner.Read(buffer, index, count);
            var encoded = new byte[Encoding.UTF8.GetMaxByteCount(read + 1)];
            sum.Append(encoded.AsSpan(0, encoder.GetBytes(buffer.AsSpan(index, read), encoded, flush: read == 0)));
            return read;
        }
    }
}
