using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Bench;

/// <summary>
/// How many of the facts that were hidden in a text are told right when they are asked for, by the text's length, by how many
/// blocks are found before the answer is read from them, and by how many a token reads.
/// </summary>
internal sealed class FocusHits(LandmarkEngine engine, string folder)
{
    private static readonly (int? Found, int K)[] Ways = [(null, 8), (32, 4), (32, 8), (48, 8), (64, 8)];

    private static readonly string[] Things =
        ["archive", "harbour", "observatory", "greenhouse", "workshop", "monastery", "brewery", "lighthouse", "library", "stable"];

    private static readonly (string Statement, string Question, string Answer)[] Facts =
    [
        ("The keeper of the tower is Anna Berg.", "Who is the keeper of the tower?", "Anna Berg"),
        ("The telephone number of Mr Haldane is 5518204.", "What is the telephone number of Mr Haldane?", "5518204"),
        ("The bronze typewriter was made by Otto Lindqvist.", "By whom was the bronze typewriter made?", "Otto Lindqvist"),
        ("The colour of the boathouse door is turquoise.", "What is the colour of the boathouse door?", "turquoise"),
        ("The owner of the sawmill is Ruth Okafor.", "Who is the owner of the sawmill?", "Ruth Okafor"),
        ("The clock in the kitchen was bought in 1931.", "When was the clock in the kitchen bought?", "1931"),
        ("The capital of Vendria is Kestrelport.", "What is the capital of Vendria?", "Kestrelport"),
        ("The password of the cellar is marzipan.", "What is the password of the cellar?", "marzipan"),
        ("The silver spoon is hidden in the piano.", "Where is the silver spoon hidden?", "in the piano"),
        ("The price of the globe is 640 crowns.", "What is the price of the globe?", "640"),
    ];

    /// <summary>Makes the memories that are not there yet, and prints a table.</summary>
    /// <param name="texts">A folder of texts in which facts are hidden: each of its files that is long enough is a memory.</param>
    /// <param name="lengths">Tokens of the texts.</param>
    public void Measure(string texts, IEnumerable<int> lengths)
    {
        Console.WriteLine($"{"tokens",8} {"blocks",7}  {string.Join(' ', Ways.Select(w => $"{(w.Found is { } n ? $"{n}" : "all") + $", k {w.K}",12}"))}   codes and facts right");
        foreach (var length in lengths)
        {
            var (right, asked, blocks, seconds) = (new (int Codes, int Facts)[Ways.Length], 0, 0L, new double[Ways.Length]);
            foreach (var file in Directory.GetFiles(texts, "*.txt").Order())
            {
                var tokens = engine.Tokenizer.Encode(File.ReadAllText(file));
                if (tokens.Length < length) continue;
                asked++;
                var code = (int i) => 20011 + (((asked * 10) + i) * 7919 % 79000);
                var path = Path.Combine(folder, $"focus-{Path.GetFileNameWithoutExtension(file)}-{length}.memory");
                if (!File.Exists(path))
                    Make(path, tokens[..length], i => i % 2 == 0 ? $"The code of the {Things[i / 2]} is {code(i / 2)}. Remember it." : Facts[i / 2].Statement);
                using var memory = engine.OpenMemory([path]);
                blocks = memory.Blocks;
                for (var i = 0; i < Things.Length; i++)
                    for (var f = 0; f < Ways.Length; f++)
                    {
                        var clock = System.Diagnostics.Stopwatch.StartNew();
                        if (Answer(memory, $"What is the code of the {Things[i]}?", Ways[f]).StartsWith($"{code(i)}", StringComparison.Ordinal)) right[f].Codes++;
                        seconds[f] += clock.Elapsed.TotalSeconds;
                        if (Answer(memory, Facts[i].Question, Ways[f]).Contains(Facts[i].Answer, StringComparison.Ordinal)) right[f].Facts++;
                    }
            }
            if (asked == 0) continue;
            var of = asked * Things.Length;
            Console.WriteLine($"{length,8:N0} {blocks,7:N0}  {string.Join(' ', right.Select(r => $"{(double)r.Codes / of,5:P0} {(double)r.Facts / of,5:P0} "))}   of {of} each; "
                + $"an answer takes {string.Join(", ", seconds.Select(s => $"{s / of:F2}"))} s");
        }
    }

    /// <summary>Hides twenty statements, each after as much of the text as after the one before.</summary>
    private void Make(string path, int[] tokens, Func<int, string> statement)
    {
        var parts = 2 * Things.Length;
        var text = new System.Text.StringBuilder();
        for (var i = 0; i <= parts; i++)
        {
            var decoder = engine.Tokenizer.CreateDecoder(atStart: false);
            var (from, to) = ((int)((long)tokens.Length * i / (parts + 1)), (int)((long)tokens.Length * (i + 1) / (parts + 1)));
            text.Append(string.Concat(tokens[from..to].Select(decoder.Push))).Append(decoder.Flush());
            if (i < parts) text.Append($"\n{statement(i)}\n");
        }
        using var writer = MemoryFileWriter.Create(path, engine.MemoryModel(), ScalarType.Int8);
        new MemoryMaker(engine, writer).Add("it", new StringReader(text.ToString()));
        writer.Commit();
    }

    private string Answer(Memory.OpenMemory memory, string question, (int? Found, int K) way)
    {
        var prompt = $"\n\nQuestion: {question}\nAnswer:";
        using var reading = engine.With(engine.Retrieval! with { TopK = way.K });
        using var part = way.Found is { } blocks ? reading.Focus(memory, prompt, blocks) : null;
        using var session = reading.NewSession(part ?? memory);
        session.Append(prompt);
        return string.Concat(session.Generate(new GenerationOptions { MaxTokens = 16, Stop = ["\n"] }).Select(t => t.Text)).Trim();
    }
}
