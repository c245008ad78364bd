using System.Text;
using LandmarkSharp.Memory;
using LandmarkSharp.Text;

namespace LandmarkSharp.Generation;

/// <summary>Passages of sessions that began with a memory.</summary>
internal static class MemoryPassages
{
    /// <summary>Finds blocks in documents and in a session's own text.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="memory">The memory's documents.</param>
    /// <param name="own">The session's own tokens; those of the memory's tail come first.</param>
    /// <param name="blocks">Numbers of blocks over both, in any order.</param>
    /// <returns>In the order of the blocks, each once.</returns>
    /// <exception cref="LandmarkException">There is no such block, or a document's text is damaged.</exception>
    public static IReadOnlyList<Passage> Of(Tokenizer tokenizer, MemoryTexts memory, IReadOnlyList<int> own, IEnumerable<long> blocks)
    {
        long[] all = [.. blocks.Distinct().Order()];
        var count = memory.Blocks + ((own.Count + memory.Model.BlockTokens - 1) / memory.Model.BlockTokens);
        if (all is [var least, ..] && (least < 0 || all[^1] >= count))
            throw new LandmarkException(
                $"There is no block {(least < 0 ? least : all[^1])} in a session of {count:N0} blocks, {memory.Blocks:N0} of them its memory's; "
                + "ask for those that it has.");
        // A session that was saved may have begun with another end of documents.
        var tail = own.Take(memory.Tail.Count).SequenceEqual(memory.Tail) ? memory.Tail.Count : 0;
        var after = Passage.Of(
            tokenizer, own, memory.Model.BlockTokens, all.Where(b => b >= memory.Blocks).Select(b => b - memory.Blocks), memory.Blocks == 0);
        return
        [
            .. all.Where(b => b < memory.Blocks).Select(b => OfDocument(memory, b)),
            .. after.Select(p => p.FirstToken < tail ? OfTail(tokenizer, memory, own, p) : p with { FirstByte = null, FirstCharacter = null })
                .Select(p => p with { Block = p.Block + memory.Blocks }),
        ];
    }

    /// <summary>What the tokens of a block spell, one by one: its passage's text in pieces.</summary>
    /// <exception cref="LandmarkException">A document's text is damaged.</exception>
    public static IReadOnlyList<string> TokensOf(Tokenizer tokenizer, MemoryTexts memory, IReadOnlyList<int> own, long block)
    {
        var length = memory.Model.BlockTokens;
        if (block < memory.Blocks)
        {
            var part = memory.PartOf(block);
            var first = part.Within(block) * length;
            return Pieces(memory.TextOf(part.Document, part.Segment, first, Math.Min(length, part.Stored.Tokens - first)));
        }
        var (from, tail) = ((int)(block - memory.Blocks) * length, own.Take(memory.Tail.Count).SequenceEqual(memory.Tail) ? memory.Tail.Count : 0);
        List<string> texts = [];
        if (from < tail)
        {
            var document = memory.Documents[^1];
            var (segment, end) = (document.Segments.Count - 1, Math.Min(from + length, tail));
            texts.AddRange(Pieces(memory.TextOf(document, segment, document.Segments[segment].Tokens - tail + from, end - from)));
        }
        var decoder = tokenizer.CreateDecoder(atStart: false);
        for (var i = tail; i < Math.Min(from + length, own.Count); i++)
        {
            var text = decoder.Push(own[i]);
            if (i >= from) texts.Add(text);
        }
        if (from + length >= own.Count && texts.Count > 0) texts[^1] += decoder.Flush();
        return texts;
    }

    private static List<string> Pieces(MemoryText text) =>
        [.. text.Ends.Select((end, i) => text.Text[(i == 0 ? 0 : text.Ends[i - 1])..end])];

    private static Passage OfDocument(MemoryTexts memory, long block)
    {
        var (part, length) = (memory.PartOf(block), memory.Model.BlockTokens);
        var first = part.Within(block) * length;
        var tokens = Math.Min(length, part.Stored.Tokens - first);
        var found = memory.TextOf(part.Document, part.Segment, first, tokens);
        return new Passage(block, found.FirstToken, tokens, found.Text, FirstByte: found.FirstByte, Document: part.Document.Name)
        {
            File = part.File.FilePath,
        };
    }

    /// <summary>A passage that begins at the end of the last document, and may reach into what the session read after it.</summary>
    private static Passage OfTail(Tokenizer tokenizer, MemoryTexts memory, IReadOnlyList<int> own, Passage passage)
    {
        var document = memory.Documents[^1];
        var (segment, first) = (document.Segments.Count - 1, (int)passage.FirstToken);
        var before = document.Segments[segment].Tokens - memory.Tail.Count + first;
        var found = memory.TextOf(document, segment, before, memory.Tail.Count - first);
        var text = new StringBuilder(found.Text);
        var decoder = tokenizer.CreateDecoder(atStart: false);
        for (var i = memory.Tail.Count; i < first + passage.Tokens; i++) text.Append(decoder.Push(own[i]));
        if (first + passage.Tokens == own.Count) text.Append(decoder.Flush());
        return passage with
        {
            FirstToken = found.FirstToken,
            Text = text.ToString(),
            FirstByte = found.FirstByte,
            FirstCharacter = null,
            Document = document.Name,
            File = memory.FileOf(document).FilePath,
        };
    }
}
