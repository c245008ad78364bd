using System.CommandLine;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Cli;

/// <summary>How the next tokens are chosen.</summary>
/// <param name="tokens">Tokens to generate when not told.</param>
internal sealed class SamplingOptions(int tokens)
{
    private readonly Option<int> maxTokens =
        new("--max-tokens") { Description = "Tokens to generate at most.", DefaultValueFactory = _ => tokens, HelpName = "N" };
    private readonly Option<double> temperature =
        new("--temperature") { Description = "Randomness; 0 takes the likeliest token.", HelpName = "T" };
    private readonly Option<double> topP = new("--top-p")
    {
        Description = "Keep the likeliest tokens up to this sum of probabilities.",
        DefaultValueFactory = _ => 1,
        HelpName = "P",
    };
    private readonly Option<int> topK =
        new("--sample-top-k") { Description = "Keep so many of the likeliest tokens; 0 keeps all.", HelpName = "N" };
    private readonly Option<double> minP =
        new("--min-p") { Description = "Keep tokens at least so many times as likely as the likeliest.", HelpName = "P" };
    private readonly Option<double> penalty = new("--repetition-penalty")
    {
        Description = "Makes tokens of the recent text less likely; 1 is off.",
        DefaultValueFactory = _ => 1,
        HelpName = "X",
    };
    private readonly Option<double> frequency = new("--frequency-penalty")
    {
        Description = "Makes a token less likely each time that it was generated, by so much of its logit; 0 is off.",
        HelpName = "X",
    };
    private readonly Option<double> presence =
        new("--presence-penalty") { Description = "Makes tokens that were generated less likely, by so much of their logits; 0 is off.", HelpName = "X" };
    private readonly Option<int> seed = new("--seed") { Description = "Equal seeds give equal answers.", HelpName = "S" };
    private readonly Option<string[]> stop =
        new("--stop") { Description = "Text that ends the answer; may be given several times.", HelpName = "TEXT" };

    public void AddTo(Command command)
    {
        foreach (var option in (IEnumerable<Option>)[maxTokens, temperature, topP, topK, minP, penalty, frequency, presence, seed, stop])
            command.Options.Add(option);
    }

    /// <summary>As asked; <paramref name="stops"/> end the answer besides.</summary>
    public GenerationOptions Read(ParseResult parsed, params string[] stops) => new GenerationOptions
    {
        MaxTokens = parsed.GetValue(maxTokens),
        Temperature = parsed.GetValue(temperature),
        TopP = parsed.GetValue(topP),
        TopK = parsed.GetValue(topK),
        MinP = parsed.GetValue(minP),
        RepetitionPenalty = parsed.GetValue(penalty),
        FrequencyPenalty = parsed.GetValue(frequency),
        PresencePenalty = parsed.GetValue(presence),
        Seed = parsed.GetValue(seed),
        Stop = [.. parsed.GetValue(stop) ?? [], .. stops],
    }.Checked();
}
