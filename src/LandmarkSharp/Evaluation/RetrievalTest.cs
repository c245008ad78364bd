using System.Diagnostics;
using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Evaluation;

/// <summary>How one trial of a retrieval test went.</summary>
/// <param name="Trial">Its number.</param>
/// <param name="Tokens">Tokens of the prompt, landmarks not counted.</param>
/// <param name="Needles">The tokens that hold what was asked for: a statement, or the two that it follows from.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Answer">What was generated.</param>
/// <param name="Correct">Whether it is right.</param>
/// <param name="PrefillSeconds">Time to read the prompt.</param>
/// <param name="DecodeMilliseconds">Time per generated token.</param>
/// <param name="Blocks">Blocks the answer was read from, the most read first.</param>
/// <param name="BlockCount">Blocks the prompt has.</param>
public sealed record RetrievalTrial(
    long Trial, int Tokens, IReadOnlyList<Range> Needles, string Expected, string Answer, bool Correct, double PrefillSeconds,
    double DecodeMilliseconds, IReadOnlyList<BlockMass> Blocks, long BlockCount)
{
    /// <summary>Tokens read before the prompt: the mark, where the tokenizer puts one first. Blocks are counted from it.</summary>
    public int Marks { get; init; }

    /// <summary>What was asked; null for a pass key.</summary>
    public TaskFamily? Family { get; init; }

    /// <summary>Whether a chain was to be answered in steps; null if this was none.</summary>
    public bool? InSteps { get; init; }

    /// <summary>The blocks that the needles stand in, as the memory counts them, in their order.</summary>
    /// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
    public IEnumerable<int> NeedleBlocks(int blockTokens) => Needles.SelectMany(needle =>
    {
        var (first, last) = ((needle.Start.Value + Marks) / blockTokens, (needle.End.Value - 1 + Marks) / blockTokens);
        return Enumerable.Range(first, last - first + 1);
    }).Distinct().Order();
}

/// <summary>Runs retrieval tests on an engine: read a prompt, generate an answer, judge it.</summary>
/// <param name="engine">The model.</param>
/// <param name="windowOnly">
/// Reads only as much of the prompt's end as the model's trained window holds with the answer, without retrieval: what a plain
/// model of the same size can know.
/// </param>
public sealed class RetrievalTest(LandmarkEngine engine, bool windowOnly = false)
{
    private const int AnswerTokens = 48;

    private readonly LandmarkEngine engine = windowOnly ? engine.Plain() : engine;
    private readonly int marks = EvaluationSession.Marks(engine);

    /// <summary>One trial of the pass key test (the paper's section 4.2): right if the first integer generated is the key.</summary>
    /// <param name="encoder">The model's tokenizer.</param>
    /// <param name="tokens">Tokens of the prompt, landmarks not counted.</param>
    /// <param name="seed">Decides keys and places.</param>
    /// <param name="trial">The number of the trial.</param>
    /// <param name="depth">The share of the filler before the key; drawn when null.</param>
    /// <param name="progress">Told how many tokens have been read.</param>
    /// <param name="cancel">Stops the trial.</param>
    public RetrievalTrial PassKey(
        FragmentEncoder encoder, int tokens, long seed, long trial, double? depth = null,
        IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        var prompt = PassKeyPrompt.Create(encoder, tokens, seed, trial, depth);
        // The answer is over when something that is no digit follows one.
        return Run(
            trial, prompt.Tokens, [prompt.Needle], $"{prompt.Key}", prompt.IsAnswered,
            said => said.AsSpan().TrimEnd().IndexOfAnyInRange('0', '9') is >= 0 and var at
                && said.AsSpan(at).IndexOfAnyExceptInRange('0', '9') > 0, progress, cancel);
    }

    /// <summary>One trial of a retrieval task.</summary>
    /// <param name="prompt">What is asked.</param>
    /// <param name="trial">The number of the trial.</param>
    /// <param name="progress">Told how many tokens have been read.</param>
    /// <param name="cancel">Stops the trial.</param>
    public RetrievalTrial Recall(
        RetrievalPrompt prompt, long trial, IProgress<long>? progress = null, CancellationToken cancel = default) =>
        Run(
            trial, prompt.Tokens, prompt.Needles, prompt.Answer, prompt.IsAnswered,
            said => said.TrimStart().Length > prompt.Longest
                || said.TrimStart().Contains('\n', StringComparison.Ordinal), progress, cancel) with
        {
            Family = prompt.Family,
            InSteps = prompt.InSteps,
        };

    private RetrievalTrial Run(
        long trial, int[] tokens, IReadOnlyList<Range> needles, string expected, Func<string, bool> isRight, Func<string, bool> isOver,
        IProgress<long>? progress, CancellationToken cancel)
    {
        using var session = EvaluationSession.Begin(engine);
        var clock = Stopwatch.StartNew();
        session.Append(Seen(tokens), progress, cancel);
        var answer = new StringBuilder();
        var (generated, prefill) = (0, 0.0);
        foreach (var token in session.Generate(new GenerationOptions { MaxTokens = AnswerTokens }, cancel))
        {
            // The first token waits for the rest of the prompt.
            if (generated++ == 0) prefill = clock.Elapsed.TotalSeconds;
            answer.Append(token.Text);
            if (isOver(answer.ToString())) break;
        }
        var decode = generated > 1 ? (clock.Elapsed.TotalSeconds - prefill) * 1000 / (generated - 1) : 0;
        var said = answer.ToString();
        return new RetrievalTrial(
            trial, tokens.Length, needles, expected, said, isRight(said), prefill, decode,
            windowOnly ? [] : Blocks(session.Trace), session.Trace.BlockCount)
        {
            Marks = marks,
        };
    }

    /// <summary>The blocks read, by the prompt's tokens: a mark before the prompt stands in the first block and is none of them.</summary>
    private BlockMass[] Blocks(RetrievalTrace trace) =>
        [.. trace.Blocks.Select(b => b.Block == 0
            ? b with { TokenCount = b.TokenCount - marks }
            : b with { FirstToken = b.FirstToken - marks })];

    /// <summary>What is read of a prompt.</summary>
    private ReadOnlySpan<int> Seen(int[] tokens)
    {
        if (!windowOnly) return tokens;
        var landmark = engine.Config.Landmark!;
        // Of a window too short for an answer, a block is read all the same.
        var window = Math.Max(
            landmark.BlockTokens, (landmark.TrainContext * landmark.BlockTokens / landmark.BlockLength) - AnswerTokens - marks);
        return tokens.AsSpan(Math.Max(0, tokens.Length - window));
    }
}
