using System.IO.Hashing;
using System.Text;
using LandmarkSharp.Memory;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Page;

/// <summary>The memories that are asked, as they are now: their blocks one after the other.</summary>
/// <param name="Whole">Whole blocks.</param>
/// <param name="Tail">Tokens at the end of the last document that fill no block.</param>
/// <param name="Memories">Where each memory begins.</param>
/// <param name="Documents">Where each document begins.</param>
/// <param name="Version">What tells them from what they were and will be.</param>
internal sealed record PageMemory(
    long Whole, int Tail, IReadOnlyList<StripPart> Memories, IReadOnlyList<StripPart> Documents, string Version)
{
    /// <summary>Blocks of all.</summary>
    public long Blocks => Whole + (Tail > 0 ? 1 : 0);

    /// <summary>Names of the memories, in their order.</summary>
    public IReadOnlyList<string> Names => [.. Memories.Select(m => m.Name)];

    /// <summary>How they lie.</summary>
    /// <param name="texts">Their documents.</param>
    public static PageMemory Of(MemoryTexts texts)
    {
        var (memories, documents, first) = (new List<StripPart>(), new List<StripPart>(), 0L);
        foreach (var document in texts.Documents)
        {
            var memory = MemoryShelf.NameOf(texts.FileOf(document).FilePath);
            if (memories is not [.., { Name: var last }] || last != memory) memories.Add(new StripPart(memory, first));
            documents.Add(new StripPart(document.Name, first));
            first += document.Blocks;
        }
        // Where several are asked it matters which.
        var version = string.Join('\n', [.. texts.Documents.Select(d => $"{d.Version}"), .. memories.Count > 1 ? memories.Select(m => m.Name) : []]);
        return new PageMemory(texts.Blocks, texts.Tail.Count, memories, documents, XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(version)).ToString("x16"));
    }

    /// <summary>How many of a block's tokens are documents'.</summary>
    public int TokensOf(long block, int tokens) => block < Whole ? tokens : block == Whole ? Tail : 0;
}
