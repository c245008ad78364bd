namespace LandmarkSharp.Tests.Cli;

/// <summary>Command lines that ask for what there is not. No model is read for any of them.</summary>
public sealed class BadArgumentsTests
{
    /// <summary>What the parser refuses.</summary>
    public static TheoryData<string, string> Unparsable => new()
    {
        { "foo", "There is no command 'foo'" },
        { "passkey --foo 3", "There is no option '--foo'" },
        { "passkey extra", "'extra'" },
        { "passkey --tokens", "'--tokens'" },
        { "passkey --tokens many", "--tokens takes a whole number up to 2147483647, not 'many'" },
        { "passkey --tokens 99999999999", "--tokens takes a whole number" },
        { "passkey --tokens 5 --tokens 6", "'--tokens'" },
        { "passkey --trials 1.5", "--trials takes a whole number" },
        { "passkey --depth deep", "--depth takes a number, not 'deep'" },
        { "passkey --seed x", "--seed takes a whole number" },
        { "passkey --top-k few", "--top-k takes a whole number" },
        { "passkey --threads all", "--threads takes a whole number" },
        { "ask --text notes.txt", "QUESTION" },
        { "ask --tempreture", "There is no option '--tempreture'" },
        { "generate --max-token", "There is no option '--max-token'" },
        { "generate x --temperature hot", "--temperature takes a number" },
        { "perplexity --context 64", "Texts come by '--text' or as token shards by '--shards'; give one of them" },
        { "perplexity --text a.txt --shards a", "give one of them" },
        { "perplexity --text a.txt --source a", "'--source' names a source of '--shards'" },
        { "perplexity --text a.txt --contexts x", "--contexts takes a whole number" },
        { "fidelity --top-k 3", "'--text' is required" },
        { "fidelity --text a.txt --top-k 3 few", "--top-k takes a whole number up to 2147483647, not 'few'" },
        { "tokenizer shards --out x", "'--source' is required" },
        { "train", "'--tokenizer' is required" },
        { "train --foo", "'--foo'" },
        { "train r.json --tokenizer t --shards s --out o --save-every 0", "--save-every must be at least 1" },
        { "verify", "PATH" },
        { "completion tcsh", "it must be one of 'bash', 'zsh', 'fish', 'pwsh'" },
    };

    /// <summary>What the parser takes and the commands refuse.</summary>
    public static TheoryData<string, string> Senseless => new()
    {
        { "passkey --trials 0", "The number of trials is 0" },
        { "passkey --window-only --top-k 3", "--window-only reads without retrieval, so --top-k would do nothing" },
        { "recall --window-only --positions true", "--positions would do nothing" },
        { "perplexity --text a.txt --plain --window 4", "--plain reads without retrieval, so --window would do nothing" },
        { "perplexity --text a.txt --plain --keep-blocks 4", "--keep-blocks would do nothing" },
        { "passkey --trials -2", "The number of trials is -2" },
        { "recall --trials 0", "The number of trials is 0" },
        { "recall --family riddle", "No facts of the family 'riddle' are kept out of training; --family takes key, keys, fact, record, sentence, chain or pair" },
        { "recall --family keys --family quote", "No facts of the family 'quote' are kept out of training" },
        { "passkey --threads 0", "The number of threads is 0" },
        { "passkey --threads 100000", "The number of threads is 100000" },
        { "passkey --dtype int8", "--dtype takes float32, bfloat16 or float16" },
        { "passkey --device gpu", "no device called 'gpu'" },
        { "passkey --device cuda:99999999999", "no device called 'cuda:99999999999'" },
        { "passkey --device cpu,cpu", "no device called 'cpu,cpu'" },
        { "passkey --libtorch /proc/self", "/proc/self holds no libtorch" },
        { "info --libtorch /nowhere/at/all", "/nowhere/at/all holds no libtorch" },
        { "perplexity --text a.txt --context 1", "--context must be at least 2" },
        { "perplexity --text a.txt --contexts 0", "The number of contexts is 0" },
        { "fidelity --text a.txt --top-k 2 0", "k, is 0; it must be at least 1" },
        { "fidelity --text a.txt --tokens 1", "--tokens must be at least 2" },
        { "fidelity --text a.txt --context 1", "--context must be at least 2" },
        { "fidelity --text a.txt --target 1.1", "--target was given 1.1" },
        { "fidelity --text a.txt --svg /nowhere/at/all/x.svg", "There is no folder '/nowhere/at/all'" },
        { "fidelity --text a.txt --target 0", "--target was given 0" },
        { "passkey --index tree", "The index 'tree' is not known; there are exact, hierarchical" },
        { "passkey --index hierarchical --mass 0.5", "An index of landmarks does not go with choices that end by mass" },
        { "passkey --index hierarchical --keep-blocks 9", "does not go with blocks that are forgotten" },
        { "passkey --index hierarchical --dtype bfloat16", "An index of landmarks is for float32 models on the CPU" },
        { "passkey --index-effort 2", "Without an index its effort does nothing" },
        { "passkey --index hierarchical --index-effort 0", "The effort of an index is 0" },
        { "bench index --landmarks 16q", "'16q' is no number of landmarks" },
        { "bench index --landmarks 0", "'0' is no number of landmarks" },
        { "bench index --read 0", "--read must be at least 1" },
        { "bench index --keys /nowhere/at/all/keys", "There is no folder '/nowhere/at/all'" },
        { "bench index --index tree", "The index 'tree' is not known" },
        { "bench index --index-effort -1", "The effort of an index is -1" },
        { "bench index --select head", "does not go with choices that are shared by tokens or by all heads" },
        { "bench index", "There are no keys to measure with; give texts by --text" },
        { "generate x --max-tokens -1", "The number of tokens to generate is -1" },
        { "generate x --temperature -1", "The temperature is -1" },
        { "generate x --temperature NaN", "The temperature is NaN" },
        { "generate x --top-p 0", "top-p is 0" },
        { "generate x --min-p 2", "min-p is 2" },
        { "generate x --sample-top-k -1", "top-k is -1" },
        { "generate x --repetition-penalty 0", "The repetition penalty is 0" },
        { "ask x --passages -1", "The number of passages is -1" },
        { "ask x --cite --passages 0", "--passages 0 shows none, so --cite would do nothing" },
        { "ask x --hot 64MiB", "--hot bounds what is kept of a memory file" },
        { "ask x --focus 32", "--focus is of a memory file" },
        { "ask x --memory a.memory --focus -1", "--focus -1 is no number of blocks" },
        { "ask x --memory a.memory --memory b.memory --focus 4 --focus 0", "--focus 0 is no number of blocks" },
        { "ask x --memory a.memory --focus 4 --focus 4", "--focus is given 2 times, and --memory 1 times" },
        { "ask x --memory a.memory --text b.txt", "leave out --text or --memory" },
        { "ask x --memory /nowhere/a.memory", "There is no memory file /nowhere/a.memory" },
        { "ask x --memory a.memory --hot much", "'much' is no number of bytes" },
        { "ask x --trace /nowhere/at/all/t.jsonl", "There is no folder '/nowhere/at/all' to write in" },
        { "generate x --trace /proc", "'/proc' is a folder" },
        { "trace /nowhere/at/all", "There is no file '/nowhere/at/all'" },
        { "trace a.jsonl --passages -1", "The number of passages is -1" },
        { "trace a.jsonl --html a.jsonl", "The page would replace the trace 'a.jsonl'" },
        { "trace a.jsonl --html /nowhere/at/all/a.html", "There is no folder '/nowhere/at/all' to write in" },
        { "tokenizer decode 999999", "'999999' is no token" },
        { "tokenizer shards --out x --source books", "The source 'books' has no name" },
    };

    [Theory]
    [MemberData(nameof(Unparsable))]
    public async Task TheParserRefusesInOneSentence(string line, string part)
    {
        // Before the first option, which might take it for its value.
        var (names, options) = (Words(line).TakeWhile(w => w[0] != '-').ToArray(), Words(line).SkipWhile(w => w[0] != '-'));
        (await LandmarkTool.Run([.. names, "--json", .. options])).SaysAsJson(part, code: 2);
    }

    [Theory]
    [MemberData(nameof(Senseless))]
    public async Task ACommandRefusesInOneSentence(string line, string part)
    {
        (await LandmarkTool.Run(Words(line))).Says(part);
    }

    [Fact]
    public async Task PeopleAndProgramsAreToldTheSame()
    {
        const string unknown =
            "There is no option '--foo'; see 'landmark tokenizer encode --help', or put -- before a text that begins so.";
        (await LandmarkTool.Run("tokenizer", "encode", "--foo")).Says(unknown, code: 2);
        (await LandmarkTool.Run("tokenizer", "encode", "--foo", "--json")).SaysAsJson(unknown, code: 2);
        const string id = "'x' is no token; ids go from 0 to";
        (await LandmarkTool.Run("tokenizer", "decode", "x")).Says(id);
        (await LandmarkTool.Run("tokenizer", "decode", "x", "--json")).SaysAsJson(id);
    }

    [Fact]
    public async Task ACudaDeviceThatIsNotThereIsRefused() =>
        // A hundred thousand devices are nowhere, with CUDA or without.
        (await LandmarkTool.Run("passkey", "--device", "cuda:100000", "--json")).SaysAsJson("The device 'cuda:100000' is not there");

    [Fact]
    public async Task AnEmptyQuestionIsRefused()
    {
        (await LandmarkTool.RunOn("A text.", "ask", "")).Says("The question is empty");
        (await LandmarkTool.RunOn("A text.", "ask", " \n\t", "--json")).SaysAsJson("The question is empty");
    }

    [Fact]
    public async Task AnEmptyPromptIsRefused()
    {
        (await LandmarkTool.Run("generate", "")).Says("The text is empty");
        (await LandmarkTool.Run("generate", " \n ", "--json")).SaysAsJson("The text is empty");
        (await LandmarkTool.Run("generate", "x", "--stop", "")).Says("A stop string is empty");
    }

    [Fact]
    public async Task WordsAreTakenAsTheyAre()
    {
        // Not a file of options, and not an option.
        Assert.Equal("@home", await BackAndForth("@home"));
        Assert.Equal("--foo", await BackAndForth("--", "--foo"));
        (await LandmarkTool.Run("one\ntwo")).Says("'one two'", code: 2);
        (await LandmarkTool.Run("--foo")).Says("There is no option '--foo'; see 'landmark --help'", code: 2);
        (await LandmarkTool.Run()).Says("see 'landmark --help'", code: 2);
        (await LandmarkTool.Run("tokenizer")).Says("see 'landmark tokenizer --help'", code: 2);

        static async Task<string> BackAndForth(params string[] words)
        {
            var ids = (await LandmarkTool.Run(["tokenizer", "encode", .. words])).Output.Split(' ', StringSplitOptions.TrimEntries);
            return (await LandmarkTool.Run(["tokenizer", "decode", .. ids])).Output.TrimEnd('\n');
        }
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
