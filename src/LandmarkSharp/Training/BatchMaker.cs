using System.Numerics.Tensors;
using LandmarkSharp.Models;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Training;

/// <summary>How documents share a row.</summary>
public enum DocumentPacking
{
    /// <summary>One stream: a block may have the end of a document and the beginning of the next, and each is seen by the other.</summary>
    Joined,

    /// <summary>Each begins a block, what is left of the block before is filled up, and nothing is seen of the documents before.</summary>
    Separate,
}

/// <summary>How batches are made.</summary>
public sealed record BatchOptions
{
    /// <summary>Rows of a batch.</summary>
    public required int Rows { get; init; }

    /// <summary>Positions of a row, landmarks counted.</summary>
    public required int Length { get; init; }

    /// <summary>ℓ: the regular tokens of a block; a landmark follows each ℓ. 0 puts no landmarks in.</summary>
    public required int BlockLength { get; init; }

    /// <summary>The landmark's token id.</summary>
    public required int LandmarkId { get; init; }

    /// <summary>Tokens of the tokenizer: a source that has others is damaged.</summary>
    public int Vocabulary { get; init; } = int.MaxValue;

    /// <summary>The mark that texts begin with, if the tokenizer puts one: some windows of the sources begin with it.</summary>
    public int? BeginOfText { get; init; }

    /// <summary>The seed of everything drawn.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>What landmarks' places teach.</summary>
    public LandmarkLoss LandmarkLoss { get; init; } = LandmarkLoss.Ignored;

    /// <summary>How documents share a row.</summary>
    public DocumentPacking Documents { get; init; } = DocumentPacking.Joined;

    /// <summary>After a landmark, positions go on 0 to p − 1 further than they would, drawn each time (the paper's appendix E); 0 for never.</summary>
    public int PositionJump { get; init; }

    /// <summary>The share of rows that are retrieval tasks.</summary>
    public double TaskShare { get; init; }

    /// <summary>The loss weight of an answer's tokens.</summary>
    public float AnswerWeight { get; init; } = 3;

    /// <summary>The loss weight of a value that its own statement says again.</summary>
    public float EchoWeight { get; init; } = 1;

    /// <summary>The loss weight of the other tokens of a retrieval task; text from the sources has 1.</summary>
    public float TaskTextWeight { get; init; } = 0.2f;
}

/// <summary>A stream of tokens and its share of the windows.</summary>
/// <param name="Tokens">The stream.</param>
/// <param name="Weight">Its share; weights need not sum to 1.</param>
/// <param name="Documents">Where its documents start, rising; needed where they are kept apart.</param>
public sealed record WeightedSource(TokenSource Tokens, double Weight, IReadOnlyList<long>? Documents = null);

/// <summary>
/// Makes batches: windows of the sources and rows of retrieval tasks, with landmarks after every ℓ tokens (paper
/// section 4.1). The windows of a batch share the phase of their blocks, drawn anew for each batch. A batch depends on
/// the seed and its index alone, so a run that stopped goes on exactly. Safe to use from several threads.
/// </summary>
public sealed class BatchMaker
{
    /// <summary>A reader's texts begin with the mark, windows hardly ever do: enough of them must, for it to say nothing else.</summary>
    private const double MarkedShare = 0.1;

    private readonly BatchOptions options;
    private readonly WeightedSource[] sources;
    private readonly double[] weights;
    private readonly RetrievalTasks? tasks;
    private readonly int block;

    /// <summary>Prepares to make batches.</summary>
    /// <exception cref="LandmarkException">An option makes no sense, or a source is shorter than a window.</exception>
    public BatchMaker(BatchOptions options, IReadOnlyList<WeightedSource> sources, RetrievalTasks? tasks = null)
    {
        if (options.Rows < 1 || options.Length < 2 || options.BlockLength < 0)
            throw new LandmarkException(
                $"A batch of {options.Rows} rows of {options.Length} positions in blocks of {options.BlockLength} "
                + "cannot be made; rows must be at least 1, positions 2 and the block length 0.");
        if ((long)options.Rows * options.Length > Array.MaxLength / 3)
            throw new LandmarkException(
                $"There is not enough memory for a batch of {options.Rows} rows of {options.Length} positions; "
                + "give fewer rows, and as many times more to accumulate.");
        if (sources.Count == 0 && tasks is null)
            throw new LandmarkException("There is nothing to make batches of; give a source of text or tasks.");
        if (options.Documents == DocumentPacking.Separate && options.BlockLength == 0)
            throw new LandmarkException("Documents are kept apart by blocks; without landmarks there are none.");
        foreach (var (source, weight, _) in sources)
            if (source.Count <= options.Length || !(weight > 0))
                throw new LandmarkException(
                    $"A source of {source.Count} tokens with weight {weight} cannot give windows of {options.Length} "
                    + "positions; a source needs more tokens than that and a weight above 0.");

        this.options = options;
        this.sources = [.. sources];
        this.tasks = tasks;
        weights = [.. sources.Select(s => s.Weight)];
        block = options.BlockLength + 1;
    }

    /// <summary>Batch <paramref name="index"/>.</summary>
    /// <exception cref="LandmarkException">A source is damaged.</exception>
    public Batch Make(long index)
    {
        var batch = new Batch(options.Rows, options.Length);
        Make(index, batch);
        return batch;
    }

    /// <summary>Writes batch <paramref name="index"/> over one that is no longer needed.</summary>
    public void Make(long index, Batch batch)
    {
        var random = new CounterRandom(options.Seed, index);
        var first = options.BlockLength == 0 ? int.MaxValue : 1 + random.Next(block);
        var separate = options.Documents == DocumentPacking.Separate;
        if (separate) first = block;
        batch.FirstBlockLength = Math.Min(first, options.Length);
        var later = new CounterRandom(options.Seed, index, 1);      // apart, so that what is drawn here does not change the windows
        batch.Seed = (int)later.NextBits();
        batch.Documents = separate ? new IReadOnlyList<int>[options.Rows] : null;
        // The target of the last regular token lies one past the window.
        var regular = options.Length - Landmarks(first) + 1;
        var taskRows = TaskRows(random.NextDouble());

        var window = new int[regular];
        for (var row = 0; row < options.Rows; row++)
        {
            if (row < taskRows)
            {
                var task = tasks!.Row(options.Seed, index * options.Rows + row, regular);
                batch.Families[row] = task.Family;
                if (separate) batch.Documents![row] = [0];
                Write(batch, row, first, task.Tokens, task.Kinds);
            }
            else
            {
                var source = sources[random.Weighted(weights)];
                batch.Families[row] = null;
                var start = random.Next(source.Tokens.Count - regular + 1);
                source.Tokens.Window(start, window);
                if (TensorPrimitives.Max<int>(window) >= options.Vocabulary || TensorPrimitives.Min<int>(window) < 0)
                    throw new LandmarkException(
                        $"The token shards are damaged: near token {start} a source of {source.Tokens.Count} has one that is not among the "
                        + $"tokenizer's {options.Vocabulary}; make the shards again.");
                if (options.BeginOfText is { } mark && random.Chance(MarkedShare)) window[0] = mark;
                if (separate) WriteDocuments(batch, row, window, start, source.Documents);
                else Write(batch, row, first, window, kinds: default);
            }
        }
        batch.Positions = options.PositionJump > 0 ? Jumping(batch, later) : null;
    }

    /// <summary>Positions that go on a little further after each landmark.</summary>
    private long[] Jumping(Batch batch, CounterRandom random)
    {
        var positions = new long[batch.Inputs.Length];
        for (var at = 1; at < positions.Length; at++)
        {
            if (at % options.Length == 0) continue;                                         // a row begins at 0
            var jump = batch.Inputs[at - 1] == options.LandmarkId ? random.Next(options.PositionJump) : 0;
            positions[at] = positions[at - 1] + 1 + jump;
        }
        return positions;
    }

    /// <summary>Writes a window of a source, each document from a block's beginning on; what a block has left is the document's last token again.</summary>
    private void WriteDocuments(Batch batch, int row, ReadOnlySpan<int> tokens, long start, IReadOnlyList<long>? starts)
    {
        if (starts is null) throw new LandmarkException("Documents can be kept apart only where it is known where they start; give sources that tell it.");
        var document = FirstAfter(starts, start);
        var (next, ended) = (0, false);
        List<int> begins = [0];
        for (var position = 0; position < options.Length; position++)
        {
            if (position % block == 0 && ended)
            {
                begins.Add(position);
                document++;
                ended = false;
            }
            var (at, isLandmark) = ((row * options.Length) + position, position % block == block - 1);
            var filling = ended && !isLandmark;
            batch.Inputs[at] = isLandmark ? options.LandmarkId : filling ? tokens[next - 1] : tokens[next++];
            ended = document < starts.Count && start + next == starts[document];
            var ignored = ended || (isLandmark && options.LandmarkLoss == LandmarkLoss.Ignored);
            var toLandmark = options.LandmarkLoss == LandmarkLoss.Predicted && position % block == block - 2;
            batch.Targets[at] = ignored ? Batch.Ignored : toLandmark ? options.LandmarkId : tokens[next];
            batch.Answers[at] = false;
            batch.Weights[at] = ignored ? 0 : 1;
        }
        batch.Documents![row] = begins;
    }

    private static int FirstAfter(IReadOnlyList<long> starts, long at)
    {
        var (low, high) = (0, starts.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (starts[middle] > at) high = middle;
            else low = middle + 1;
        }
        return low;
    }

    private int TaskRows(double dither)
    {
        if (tasks is null) return 0;
        if (sources.Length == 0) return options.Rows;
        return Math.Clamp((int)(options.TaskShare * options.Rows + dither), 0, options.Rows);
    }

    private int Landmarks(int first) => options.Length < first ? 0 : (options.Length - first) / block + 1;

    private void Write(Batch batch, int row, int first, ReadOnlySpan<int> tokens, ReadOnlySpan<TokenKind> kinds)
    {
        bool IsLandmark(int position) => options.BlockLength > 0 && position >= first - 1 && (position - first + 1) % block == 0;

        var start = row * options.Length;
        var next = 0;
        var policy = options.LandmarkLoss;
        for (var position = 0; position < options.Length; position++)
        {
            var at = start + position;
            var isLandmark = IsLandmark(position);
            batch.Inputs[at] = isLandmark ? options.LandmarkId : tokens[next++];
            // A landmark is a target where the policy says so, and never part of an answer.
            var toLandmark = policy == LandmarkLoss.Predicted && IsLandmark(position + 1);
            var ignored = isLandmark && policy == LandmarkLoss.Ignored;
            batch.Targets[at] = ignored ? Batch.Ignored : toLandmark ? options.LandmarkId : tokens[next];
            var kind = ignored || toLandmark || kinds.IsEmpty ? TokenKind.Text : kinds[next];
            batch.Answers[at] = kind == TokenKind.Answer;
            batch.Weights[at] = ignored ? 0 : kinds.IsEmpty ? 1 : kind switch
            {
                TokenKind.Answer => options.AnswerWeight,
                TokenKind.Echo => options.EchoWeight,
                _ => options.TaskTextWeight,
            };
        }
    }
}
