using LandmarkSharp.Generation;
using LandmarkSharp.Server.Page;

namespace LandmarkSharp.Tests.Server.Page;

/// <summary>What an answer was read from, added up for the page.</summary>
public sealed class AnswerReadsTests
{
    // Two whole blocks of three tokens, and a document's last token in a third.
    private static readonly PageMemory Memory = new(2, 1, [new StripPart("m", 0)], [new StripPart("d", 0)], "v");

    [Fact]
    public void SharesAreMeansOverQueriesAndOfDocumentsAlone()
    {
        var reads = new AnswerReads(Memory, block => block);
        Assert.Equal(
            [new BlockShare(1, 0.3), new BlockShare(2, 0.1)],
            reads.Add(Token(1, (1, [0.1f, 0.1f, 0.1f]), (2, [0.1f, 0.2f, 0.2f]), (3, [0.2f, 0, 0]))));
        Assert.Equal([new BlockShare(0, 0.6)], reads.Add(Token(2, (0, [0.6f, 0, 0]))));
        Assert.Equal([new BlockShare(0, 0.4), new BlockShare(1, 0.1), new BlockShare(2, 0.033333)], reads.Blocks);
    }

    [Fact]
    public void WhatWasReadOfFoundBlocksStandsWhereTheyAreInTheWhole()
    {
        // Of three blocks the last whole one was found; after it comes the documents' end.
        var reads = new AnswerReads(Memory, block => block + 1);
        Assert.Equal([new BlockShare(1, 0.3), new BlockShare(2, 0.1)], reads.Add(Token(1, (0, [0.1f, 0.1f, 0.1f]), (1, [0.1f, 0.2f, 0.2f]), (2, [0.2f, 0, 0]))));
    }

    [Fact]
    public void TokensAreJoinedToWords()
    {
        var reads = new AnswerReads(Memory, block => block);
        reads.Add(Token(1, (0, [0.1f, 0.2f, 0.3f])));
        Assert.Equal(
            [new WordShare("The", 0.1), new WordShare(" code", 0.5)],
            reads.Words(0, ["The", " co", "de"]));
        Assert.Equal([new WordShare("a\n", 0.1), new WordShare("b", 0.2), new WordShare(" ", 0.3)], reads.Words(0, ["a\n", "b", " "]));
        Assert.Null(reads.Words(1, ["not", "read"]));
    }

    private static TokenReads Token(int queries, params (long Block, float[] Shares)[] blocks) =>
        new(queries, 0, []) { TokenShares = blocks.ToDictionary(b => b.Block, b => b.Shares) };
}
