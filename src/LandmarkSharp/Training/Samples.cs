using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Text;

namespace LandmarkSharp.Training;

/// <summary>How a model goes on with the beginning of a held-out text.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Source">The text's source.</param>
/// <param name="Prompt">Its beginning.</param>
/// <param name="Text">What the model wrote after it.</param>
public sealed record SampleLine(long Step, string Source, string Prompt, string Text);

/// <summary>Lets a model in training write: the same beginnings and the same draws each time, so that what changes is the model.</summary>
internal sealed class Samples
{
    private const int Count = 4, PromptTokens = 48, NewTokens = 64;

    private readonly Tokenizer tokenizer;
    private readonly Decoder decoder;
    private readonly List<(string Source, int[] Tokens)> beginnings = [];

    /// <summary>Chooses the beginnings.</summary>
    /// <param name="data">The run's tokenizer and held-out texts.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="seed">Equal seeds choose equal beginnings.</param>
    public Samples(TrainingData data, Decoder decoder, long seed)
    {
        (tokenizer, this.decoder) = (data.Tokenizer, decoder);
        var sources = data.HeldOut!.Meta.Sources;
        for (var i = 0; i < Count; i++)
        {
            var source = sources[i % sources.Count];
            var starts = data.HeldOut.Documents(source.Name);
            var document = new CounterRandom(seed, i).Next(starts.Count);
            var start = starts[document];
            var end = document + 1 < starts.Count ? starts[document + 1] : source.Tokens;
            // The last token of a document says that it ends.
            var tokens = new int[Math.Clamp(end - start - 1, 1, PromptTokens)];
            data.HeldOut[source.Name].Window(start, tokens);
            beginnings.Add((source.Name, tokens));
        }
    }

    /// <summary>What the model writes now.</summary>
    public IEnumerable<SampleLine> Draw(long step)
    {
        using var engine = new LandmarkEngine(decoder, tokenizer, decoder.Config.Landmark?.Retrieval(), owner: false);
        foreach (var (i, (source, tokens)) in beginnings.Index())
        {
            using var session = engine.NewSession();
            if (tokenizer.AddsBos) session.Append([tokenizer.BosId!.Value]);
            session.Append(tokens);
            var written = session.Generate(new GenerationOptions { MaxTokens = NewTokens, Temperature = 0.8, TopP = 0.95, Seed = i });
            yield return new SampleLine(step, source, tokenizer.Decode(tokens), string.Concat(written.Select(t => t.Text)));
        }
    }
}
