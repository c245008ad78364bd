using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>One entry of a vocabulary: its spelling in the file, what it is, and the bytes it decodes to.</summary>
internal readonly record struct VocabularyEntry(string Text, PieceKind Kind, byte[] Bytes);

/// <summary>The pieces of a tokenizer by id. Ids without an entry (holes in a file's numbering) decode to nothing.</summary>
internal sealed class Vocabulary
{
    private readonly VocabularyEntry?[] entries;
    private readonly Dictionary<string, int> ids;

    public Vocabulary(IReadOnlyDictionary<int, VocabularyEntry> pieces)
    {
        entries = new VocabularyEntry?[pieces.Count == 0 ? 0 : pieces.Keys.Max() + 1];
        ids = new Dictionary<string, int>(pieces.Count, StringComparer.Ordinal);
        foreach (var (id, entry) in pieces)
        {
            entries[id] = entry;
            ids[entry.Text] = id;
        }
    }

    /// <summary>The largest id plus one.</summary>
    public int Count => entries.Length;

    public VocabularyEntry? this[int id] => (uint)id < (uint)entries.Length ? entries[id] : null;

    public int? Find(string text) => ids.TryGetValue(text, out var id) ? id : null;

    /// <summary>This vocabulary with one piece more.</summary>
    public Vocabulary With(int id, VocabularyEntry entry)
    {
        var pieces = new Dictionary<int, VocabularyEntry> { [id] = entry };
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i] is { } known) pieces[i] = known;
        }
        return new Vocabulary(pieces);
    }

    /// <summary>SHA-256 over every id, kind and spelling, in lower-case hexadecimal.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> head = stackalloc byte[9];
        for (var id = 0; id < entries.Length; id++)
        {
            if (entries[id] is not { } entry) continue;
            var text = Encoding.UTF8.GetBytes(entry.Text);
            BinaryPrimitives.WriteInt32LittleEndian(head, id);
            BinaryPrimitives.WriteInt32LittleEndian(head[4..], text.Length);
            head[8] = (byte)entry.Kind;
            hash.AppendData(head);
            hash.AppendData(text);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
