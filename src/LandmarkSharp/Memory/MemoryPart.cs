using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Memory;

/// <summary>Blocks of a segment in an open memory, one after the other.</summary>
/// <param name="File">The file that it lies in.</param>
/// <param name="Document">The document that it belongs to.</param>
/// <param name="Segment">Its number among the document's segments.</param>
/// <param name="First">Blocks of the open memory before them.</param>
/// <param name="Blocks">How many.</param>
/// <param name="From">Blocks of the segment before them.</param>
internal sealed record MemoryPart(MemoryFile File, MemoryEntry Document, int Segment, long First, int Blocks, int From = 0)
{
    /// <summary>The segment itself.</summary>
    public MemorySegment Stored => Document.Segments[Segment];

    /// <summary>The number in the segment of one of these blocks of the open memory.</summary>
    public int Within(long block) => From + (int)(block - First);

    /// <summary>Those of all complete documents, and the tokens at the end of the last one that fill no block.</summary>
    /// <exception cref="LandmarkException">A document has no end, or that is damaged.</exception>
    public static (List<MemoryPart> Parts, int[] Tail) Of(IReadOnlyList<MemoryFile> files)
    {
        List<MemoryPart> parts = [];
        int[] tail = [];
        var (last, before) = (files[^1].Documents.Last(d => d.Complete), 0L);
        foreach (var (file, document) in files.SelectMany(f => f.Documents.Where(d => d.Complete).Select(d => (f, d))))
        {
            var isLast = ReferenceEquals(document, last);
            for (var i = 0; i < document.Segments.Count; i++)
            {
                var segment = document.Segments[i];
                if (isLast && i == document.Segments.Count - 1) tail = TailOf(file, segment);
                else if (segment.Blocks == 0)
                    throw new LandmarkException($"The end of the document {MemoryDamage.Quote(document.Name)} has no keys and values; add it again.");
                var blocks = segment.Blocks - (isLast && segment.IsFilled(file.Model) ? 1 : 0);
                if (blocks > 0) parts.Add(new MemoryPart(file, document, i, before, blocks));
                before += blocks;
            }
        }
        return (parts, tail);
    }

    private static int[] TailOf(MemoryFile file, MemorySegment segment)
    {
        var whole = (segment.Blocks - (segment.IsFilled(file.Model) ? 1 : 0)) * file.Model.BlockTokens;
        return segment.Tokens == whole ? [] : file.ReadText(segment).Tokens[whole..];
    }
}
