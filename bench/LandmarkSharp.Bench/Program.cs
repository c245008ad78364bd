using System.Diagnostics;
using LandmarkSharp;
using LandmarkSharp.Bench;
using LandmarkSharp.Generation;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

// landmark-bench [MODEL] [SHORT] [LONG]: time per token after a short and a long text, and tokens read per second.
// landmark-bench prefill POSITIONS [TEXT [K]]: attention of a whole text on a Hopper card, of random numbers or of the model over a text.
// landmark-bench memory FILE [TOKENS [BLOCKS]]: a memory file, made of random numbers in segments of so many blocks, opened and read.
// landmark-bench search TEXTS [FOLDER]: documents with facts among texts, in memories in FOLDER, ranked for questions about the facts.
// landmark-bench focus TEXTS FOLDER TOKENS …: facts hidden in texts of these lengths, in memories in FOLDER, asked for from all and from found blocks.
// landmark-bench clients URL PROCESS TEXT [CLIENTS [SECONDS]]: so many clients ask a running server, each about a memory of its own.
if (args.Length > 3 && args[0] == "clients")
{
    await new ServerLoad(new Uri(args[1]), int.Parse(args[2])).Measure(
        File.ReadAllText(args[3]), args.Length > 4 ? int.Parse(args[4]) : 32, TimeSpan.FromSeconds(args.Length > 5 ? int.Parse(args[5]) : 300));
    return;
}
if (args.Length > 1 && args[0] == "search")
{
    using var searching = LandmarkEngine.Load(ShippedModel.Folder);
    new SearchHits(searching, args.Length > 2 ? args[2] : ".").Measure(args[1]);
    return;
}
if (args.Length > 3 && args[0] == "focus")
{
    using var asking = LandmarkEngine.Load(ShippedModel.Folder);
    new FocusHits(asking, args[2]).Measure(args[1], args[3..].Select(int.Parse));
    return;
}
if (args.Length > 1 && args[0] == "memory")
{
    MemoryTimes.Measure(args[1], args.Length > 2 ? int.Parse(args[2]) : 1 << 20, args.Length > 3 ? int.Parse(args[3]) : 256);
    return;
}
if (args.Length > 1 && args[0] == "prefill")
{
    LibTorch.Load();
    if (args.Length == 2)
    {
        PrefillTimes.Random(int.Parse(args[1]));
        return;
    }
    using var reader = LandmarkEngine.Load(
        ShippedModel.Folder, new EngineOptions { Device = CUDA, Type = ScalarType.BFloat16 });
    PrefillTimes.Model(reader, File.ReadAllText(args[2]), int.Parse(args[1]), args.Length > 3 ? int.Parse(args[3]) : reader.Retrieval!.TopK);
    return;
}

var folder = args.Length > 0 ? args[0] : ShippedModel.Folder;
var (shortText, longText) = (args.Length > 1 ? int.Parse(args[1]) : 4096, args.Length > 2 ? int.Parse(args[2]) : 131072);
using var engine = LandmarkEngine.Load(folder);

Console.WriteLine($"{"text",9} {"prefill",16} {"decode, median",16} {"best",10} {"scan's share",13}");
using var small = new Reading(engine, shortText);
using var large = new Reading(engine, longText);
Reading.Alternate(small, large, warmUp: 16, rounds: 8, tokens: 16);
foreach (var reading in new[] { small, large })
    Console.WriteLine(
        $"{reading.Tokens,9:N0} {reading.PrefillTokensPerSecond,9:N0} tok/s {reading.Median,10:F2} ms/tok "
        + $"{reading.Best,7:F2} ms {reading.ScanShare,13:P1}");
Console.WriteLine(
    $"decode at {longText:N0} against {shortText:N0} tokens: {large.Median / small.Median:F2} x (best {large.Best / small.Best:F2} x)");
Console.WriteLine(
    $"peak memory {ProcessMemory.PeakResidentBytes / 1_000_000:N0} MB, "
    + $"keys and values {(small.MemoryBytes + large.MemoryBytes) / 1_000_000:N0} MB");
