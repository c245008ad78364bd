using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Page;

/// <summary>
/// What an answer is read from, added up token by token. Of the block in which the last document ends and the question begins, the
/// document's tokens alone count.
/// </summary>
/// <param name="memory">The memories that it is read from.</param>
/// <param name="number">The number in them of one of the blocks that are read.</param>
internal sealed class AnswerReads(PageMemory memory, Func<long, long> number)
{
    private const int Most = 256;                                                           // blocks of a token that are told, the most read

    private readonly Dictionary<long, double[]> sums = [];                                  // for each of a block's tokens

    /// <summary>Positions that have read so far.</summary>
    public long Queries { get; private set; }

    /// <summary>The blocks, the most read first.</summary>
    public IReadOnlyList<BlockShare> Blocks => Ranked(sums.Select(s => new BlockShare(s.Key, s.Value.Sum() / Queries)));

    /// <summary>Adds a token.</summary>
    /// <returns>Its own reads.</returns>
    public IReadOnlyList<BlockShare> Add(TokenReads reads)
    {
        Queries += reads.Queries;
        List<BlockShare> own = [];
        foreach (var (read, shares) in reads.TokenShares!)
        {
            var block = number(read);
            var count = memory.TokensOf(block, shares.Length);
            if (count == 0) continue;
            if (!sums.TryGetValue(block, out var sum)) sums[block] = sum = new double[count];
            for (var i = 0; i < count; i++) sum[i] += (double)shares[i] * reads.Queries;
            own.Add(new BlockShare(block, shares.Take(count).Sum(s => (double)s)));
        }
        return [.. Ranked(own).Take(Most)];
    }

    /// <summary>A block's text in words, each with its share.</summary>
    /// <param name="block">The block.</param>
    /// <param name="texts">What its tokens spell.</param>
    public IReadOnlyList<WordShare>? Words(long block, IReadOnlyList<string> texts)
    {
        if (!sums.TryGetValue(block, out var sum)) return null;
        List<WordShare> words = [];
        foreach (var (text, share) in texts.Zip(sum))
        {
            // White space begins a word, and a token that is a piece of one goes on with it.
            var begins = words is not [.., { Text: var last }] || (text.Length > 0 && char.IsWhiteSpace(text[0])) || last.EndsWith('\n');
            if (begins) words.Add(new WordShare(text, Round(share / Queries)));
            else words[^1] = new WordShare(words[^1].Text + text, Round(words[^1].Share + (share / Queries)));
        }
        return words;
    }

    private static IReadOnlyList<BlockShare> Ranked(IEnumerable<BlockShare> shares) =>
        [.. shares.OrderByDescending(s => s.Share).Select(s => s with { Share = Round(s.Share) })];

    // More digits than anybody sees would make files of conversations large.
    private static double Round(double share) => Math.Round(share, 6);
}
