namespace LandmarkSharp.Training.Tasks;

/// <summary>What rows of retrieval tasks are made of.</summary>
public sealed record RetrievalTaskOptions
{
    /// <summary>Training's wordings, or those that are kept out of it.</summary>
    public TaskSplit Split { get; init; }

    /// <summary>The shares of the families where none are given: all but chains and pairs.</summary>
    public static IReadOnlyDictionary<TaskFamily, double> DefaultShares { get; } = new Dictionary<TaskFamily, double>
    {
        [TaskFamily.PassKey] = 0.08,
        [TaskFamily.Key] = 0.10,
        [TaskFamily.Keys] = 0.18,
        [TaskFamily.Fact] = 0.14,
        [TaskFamily.Record] = 0.06,
        [TaskFamily.Sentence] = 0.08,
        [TaskFamily.Quote] = 0.06,
        [TaskFamily.Wording] = 0.15,
        [TaskFamily.LongAnswer] = 0.15,
    };

    /// <summary>The share of each family; they need not sum to 1. Pass keys, quotes and made-up wordings are not held out.</summary>
    public IReadOnlyDictionary<TaskFamily, double> Shares { get; init; } = DefaultShares;

    /// <summary>The share of rows whose facts are about subjects that are easily mistaken for one another.</summary>
    public double Lookalikes { get; init; }

    /// <summary>Runs of words that made-up wordings are made of; a few common words when empty.</summary>
    public IReadOnlyList<string> Phrases { get; init; } = [];

    /// <summary>The token that texts begin with, put before some rows that start a text; null for none.</summary>
    public int? BeginOfText { get; init; }

    /// <summary>The token after a document, put where a row goes on with another; null if rows never do.</summary>
    public int? EndOfText { get; init; }
}

/// <summary>
/// Makes rows in which something must be found again: pass keys in the paper's wording and in hundreds of others,
/// several keys of which one is asked for, facts about named things or to be read together, entries of lists, sentences,
/// quotations, in fillers of many kinds. A row depends on its seed and index alone. Safe to use from several threads.
/// </summary>
public sealed class RetrievalTasks
{
    /// <summary>So many tokens hold every task that can be drawn; of a tokenizer of single letters it takes more.</summary>
    public const int ShortestRow = 256;

    private readonly TaskFamily[] families;
    private readonly double[] shares;
    private readonly PassKeyTask passKey;
    private readonly QuoteTask quote;

    /// <summary>Prepares to make rows.</summary>
    /// <param name="encoder">The tokenizer.</param>
    /// <param name="books">Real text for fillers; without any, invented sentences take its place.</param>
    /// <param name="options">What the rows are made of.</param>
    public RetrievalTasks(
        FragmentEncoder encoder, IReadOnlyList<TokenSource> books, RetrievalTaskOptions? options = null)
    {
        Options = options ?? new RetrievalTaskOptions();
        families = [.. Options.Shares.Where(s => s.Value > 0 && IsIn(Options.Split, s.Key)).Select(s => s.Key).Order()];
        if (families.Length == 0)
            throw new LandmarkException("No family of retrieval tasks has a share above 0; give at least one.");
        shares = [.. families.Select(f => Options.Shares[f])];
        var shop = new FillerShop(encoder, books, Options.Split);
        passKey = new PassKeyTask(encoder, shop, Options.BeginOfText, Options.EndOfText);
        Facts = new FactTask(encoder, shop, Options);
        Chains = new ChainTask(encoder, shop, Options);
        Pairs = new PairTask(encoder, shop, Options);
        quote = new QuoteTask(encoder, shop);
    }

    /// <summary>What the rows are made of.</summary>
    public RetrievalTaskOptions Options { get; }

    internal FactTask Facts { get; }

    internal ChainTask Chains { get; }

    internal PairTask Pairs { get; }

    /// <summary>Row <paramref name="index"/> of a seed's endless list: <paramref name="length"/> tokens.</summary>
    /// <exception cref="LandmarkException">The task drawn does not fit in so few tokens; <see cref="ShortestRow"/> always do.</exception>
    public TaskRow Row(long seed, long index, int length)
    {
        var random = new CounterRandom(seed, index);
        return families[random.Weighted(shares)] switch
        {
            TaskFamily.PassKey => passKey.Row(random, length),
            TaskFamily.Quote => quote.Row(random, length),
            TaskFamily.Chain => Chains.Row(random, length),
            TaskFamily.Pair => Pairs.Row(random, length),
            var family => Facts.Row(random, length, family),
        };
    }

    private static bool IsIn(TaskSplit split, TaskFamily family) =>
        split == TaskSplit.Training || family is TaskFamily.Chain or TaskFamily.Pair
        || FactSchema.Of(split).Any(s => s.Family == family);
}
