using LandmarkSharp.Models;
using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>How a model does on what it is not trained on, over the same batches each time.</summary>
/// <param name="Loss">Mean cross-entropy of a regular token of held-out text; null without such text.</param>
/// <param name="AnswerLoss">Mean cross-entropy of an answer's token in retrieval tasks of held-out wordings; null without tasks.</param>
/// <param name="AnswersRight">The share of those answers whose every token is the likeliest; null without tasks.</param>
public sealed record ValidationResult(double? Loss, double? AnswerLoss, double? AnswersRight)
{
    /// <summary>e to the loss.</summary>
    public double? Perplexity => Loss is { } l ? Math.Exp(l) : null;
}

/// <summary>Judges a model during training.</summary>
/// <param name="text">Makes batches of held-out text; null for none.</param>
/// <param name="tasks">Makes batches of retrieval tasks; null for none.</param>
/// <param name="batches">Batches of each.</param>
internal sealed class Validation(BatchMaker? text, BatchMaker? tasks, int batches)
{
    /// <summary>Runs all batches, shared out among processes where there are several.</summary>
    public ValidationResult Run(Decoder decoder, ProcessGroup? group = null)
    {
        using var quiet = no_grad();
        using var loss = new LanguageModelLoss(decoder);
        var landmark = decoder.Config.Landmark;
        var (textSum, textCount, answerSum, answerCount, right, asked) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (var i = group?.Rank ?? 0; i < batches; i += group?.Size ?? 1)
        {
            if (text is not null)
            {
                using var scope = NewDisposeScope();
                using var batch = new PackedBatch(text.Make(i), pinned: false);
                var losses = loss.CrossEntropy(batch, predictions: false).Cross.cpu().data<float>().ToArray();
                for (var at = 0; at < losses.Length; at++)
                {
                    if (!IsJudged(batch.Batch, at, landmark)) continue;
                    textSum += losses[at];
                    textCount++;
                }
            }
            if (tasks is null) continue;
            using var taskScope = NewDisposeScope();
            using var packed = new PackedBatch(tasks.Make(i), pinned: false);
            var rows = packed.Batch;
            var (cross, predicted) = loss.CrossEntropy(packed, predictions: true);
            var (each, likeliest) = (cross.cpu().data<float>().ToArray(), predicted!.cpu().data<long>().ToArray());
            for (var at = 0; at < each.Length; at++)
            {
                if (!rows.Answers[at] || !IsJudged(rows, at, landmark)) continue;
                answerSum += each[at];
                answerCount++;
            }
            foreach (var answer in Answers(rows, landmark))
            {
                asked++;
                if (answer.TrueForAll(at => likeliest[at] == rows.Targets[at])) right++;
            }
        }
        if (group is not null)
        {
            using var scope = NewDisposeScope();
            var all = tensor([textSum, textCount, answerSum, answerCount, right, asked], ScalarType.Float64, decoder.Device);
            group.Sum(all);
            var sums = all.cpu().data<double>().ToArray();
            (textSum, textCount, answerSum, answerCount, right, asked) = (sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]);
        }
        return new ValidationResult(
            textCount > 0 ? textSum / textCount : null,
            answerCount > 0 ? answerSum / answerCount : null,
            asked > 0 ? right / asked : null);
    }

    /// <summary>
    /// Whether a position's prediction is one of the text's tokens: landmarks, where they are predicted, are not judged, and
    /// where two positions predict a token, the landmark is, whose prediction generation follows.
    /// </summary>
    private static bool IsJudged(Batch batch, int at, LandmarkConfig? landmark) =>
        batch.Targets[at] != Batch.Ignored && batch.Targets[at] != landmark?.Id
        && !(landmark?.Loss == LandmarkLoss.Predicting && (at + 1) % batch.Length != 0 && batch.Inputs[at + 1] == landmark.Id);

    /// <summary>The positions that each answer's tokens are predicted from; a landmark inside does not end it.</summary>
    private static IEnumerable<List<int>> Answers(Batch batch, LandmarkConfig? landmark)
    {
        for (var row = 0; row < batch.Rows; row++)
        {
            List<int> answer = [];
            for (var at = row * batch.Length; at < (row + 1) * batch.Length; at++)
            {
                if (!IsJudged(batch, at, landmark)) continue;
                if (batch.Answers[at]) answer.Add(at);
                else if (answer.Count > 0)
                {
                    yield return answer;
                    answer = [];
                }
            }
            if (answer.Count > 0) yield return answer;
        }
    }
}
