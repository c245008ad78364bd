namespace LandmarkSharp.Training.Tasks;

/// <summary>How the questions of a row are put, where they can be answered without repeating them.</summary>
internal sealed class Dialogue(CounterRandom random)
{
    private readonly bool speaks = random.Chance(0.5);
    private readonly string asker = random.Pick(["Question", "Question", "Q", "User"]);
    private readonly string answerer = random.Pick(["Answer", "Answer", "A", "Assistant"]);

    /// <summary>A question and its answer as the lines of two who speak; null in rows where nobody does.</summary>
    public string? Lines(string question, string answer) => speaks ? $"{asker}: {question}\n{answerer}: {answer}" : null;

    /// <summary>What ends an answer that ends in a letter or digit: that it ends there is part of it.</summary>
    public static string End(CounterRandom random, string answer) =>
        !char.IsLetterOrDigit(answer[^1]) ? "" : random.Chance(0.7) ? "." : "\n";
}
