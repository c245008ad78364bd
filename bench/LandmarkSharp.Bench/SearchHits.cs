using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;
using static TorchSharp.torch;

namespace LandmarkSharp.Bench;

/// <summary>
/// How often the document in which a fact stands is the first of 20, or one of the first five, by what a question about it reads: of so
/// many of the question's last positions, of some layers and heads, and by a document's blocks together or the most read of them.
/// </summary>
internal sealed class SearchHits(LandmarkEngine engine, string folder)
{
    private const int Sets = 3, Documents = 20, Tokens = 3000, Seed = 5;

    private readonly Dictionary<string, (int First, int Five)> hits = [];

    /// <summary>Makes the memories that are not there yet, and prints a table.</summary>
    /// <param name="texts">A folder of texts that the facts stand among.</param>
    public void Measure(string texts)
    {
        var tokens = Directory.GetFiles(texts, "*.txt").Order().SelectMany(f => engine.Tokenizer.Encode(File.ReadAllText(f))).ToArray();
        using var filler = TokenSource.FromTokens(tokens);
        var tasks = new RetrievalTasks(
            new FragmentEncoder(t => engine.Tokenizer.Encode(t)), [filler], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        var asked = (0, 0);
        for (var set = 0; set < Sets; set++)
        {
            var prompts = Enumerable.Range(0, Documents)
                .Select(i => RetrievalPrompt.Create(tasks, Tokens + (7 * i), Seed, (set * Documents) + i, FillerKind.Books)).ToArray();
            var path = Path.Combine(folder, $"search-{set}.memory");
            if (!File.Exists(path)) Make(path, prompts);
            using var memory = engine.OpenMemory([path]);
            // What is asked of two documents in the same words has no answer.
            foreach (var (i, prompt) in prompts.Index().Where(p => prompts.Count(o => o.Question == p.Item.Question) == 1))
            {
                asked.Item1++;
                Ask(memory, prompt.Question, $"{i}", "statement");
                if (prompt.Question.IndexOf('?', StringComparison.Ordinal) is not (>= 0 and var end)) continue;
                asked.Item2++;
                Ask(memory, prompt.Question[..(end + 1)], $"{i}", "question");
            }
        }
        foreach (var (rule, (first, five)) in hits.OrderBy(h => h.Key, StringComparer.Ordinal))
        {
            var of = rule.StartsWith("statement", StringComparison.Ordinal) ? asked.Item1 : asked.Item2;
            Console.WriteLine($"{(double)first / of,8:P0} {(double)five / of,8:P0}  {rule}");
        }
        Console.WriteLine($"{asked.Item1} statements and {asked.Item2} questions");
    }

    private void Make(string path, RetrievalPrompt[] prompts)
    {
        using var writer = MemoryFileWriter.Create(path, engine.MemoryModel(), ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer);
        foreach (var (i, prompt) in prompts.Index())
        {
            var decoder = engine.Tokenizer.CreateDecoder();
            var text = string.Concat(prompt.Tokens.Select(decoder.Push)) + decoder.Flush();
            maker.Add($"{i}", new StringReader(text[..text.LastIndexOf(prompt.Question, StringComparison.Ordinal)]));
        }
        writer.Commit();
    }

    private void Ask(Memory.OpenMemory memory, string question, string source, string form)
    {
        foreach (var (positions, of) in (ReadOnlySpan<(int, string)>)[(1, "last position"), (4, "last 4 positions"), (int.MaxValue, "all positions")])
        {
            var reads = MemorySearch.Reads(engine, memory, question, positions);
            foreach (var (first, count, head, layers) in (ReadOnlySpan<(int, int, int?, string)>)
                [(1, 9, null, "layers 1 to 9"), (1, 4, null, "layers 1 to 4"), (5, 5, null, "layers 5 to 9"), (7, 3, null, "layers 7 to 9"),
                    (7, 1, null, "layer 7"), (7, 1, 3, "layer 7, head 3")])
            {
                var sum = ReadSum.Of(memory.Model.BlockTokens, [reads with { Layers = [.. reads.Layers.Skip(first).Take(count)] }], head: head);
                var ranked = MemorySearch.Ranked(engine, memory, memory.Tail, sum.Blocks, passages: 1);
                Count($"{form}: {of}, {layers}, blocks together", ranked, source);
                Count($"{form}: {of}, {layers}, the most read block", ranked.OrderByDescending(d => d.Passages[0].Mass), source);
            }
        }
    }

    private void Count(string rule, IEnumerable<RankedDocument> ranked, string source)
    {
        var place = ranked.Select(d => d.Name).ToList().IndexOf(source);
        var (first, five) = hits.GetValueOrDefault(rule);
        hits[rule] = (first + (place == 0 ? 1 : 0), five + (place is >= 0 and < 5 ? 1 : 0));
    }
}
