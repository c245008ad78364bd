namespace LandmarkSharp.Generation;

/// <content>The text of blocks, token by token.</content>
public sealed partial class Session
{
    /// <summary>
    /// What the tokens of a block spell, one by one, so that <see cref="TokenReads.TokenShares"/> can be told of words. Together they are the
    /// text of its passage; a character belongs to the token of its last byte.
    /// </summary>
    /// <param name="block">The block's number, as <see cref="Trace"/> has it.</param>
    /// <returns>ℓ texts, fewer of a block that is not complete.</returns>
    /// <exception cref="LandmarkException">There is no such block, or a document's text is damaged.</exception>
    public IReadOnlyList<string> TokenTexts(long block)
    {
        if (landmark is not { BlockTokens: var length } || block < 0 || block >= Blocks)
            throw new LandmarkException($"There is no block {block} in a session of {Blocks:N0} blocks; ask for one that it has.");
        if (opened is not null) return MemoryPassages.TokensOf(engine.Tokenizer, opened.Texts, text, block);
        var (first, end) = ((int)block * length, Math.Min((int)(block + 1) * length, text.Count));
        var decoder = engine.Tokenizer.CreateDecoder();
        List<string> texts = [];
        for (var i = 0; i < end; i++)
        {
            var spelled = decoder.Push(text[i]);
            if (i >= first) texts.Add(spelled);
        }
        if (end == text.Count) texts[^1] += decoder.Flush();
        return texts;
    }
}
