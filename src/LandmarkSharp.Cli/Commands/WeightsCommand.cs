using System.CommandLine;
using LandmarkSharp.Models;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark weights</c>: models made from others, weight by weight.</summary>
internal static class WeightsCommand
{
    public static Command Create() => new("weights", "Makes models from others, weight by weight.")
    {
        new Diff(), new Recover(), new Merge(),
        new HelpWithExamples("landmark weights recover --base llama-7b --diff landmark-attention-llama7b-wdiff --out landmark-7b").Option,
    };

    private static Option<string> Folder(string name, string description) =>
        new(name) { Description = description, Required = true, HelpName = "DIR" };

    private static Option<string> Base() => Folder("--base", "Folder of the model that was tuned.");

    private static Option<string> Out() => Folder("--out", "New folder to write.");

    private static torch.ScalarType TypeOf(string name) => name switch
    {
        "float32" => torch.ScalarType.Float32,
        "bfloat16" => torch.ScalarType.BFloat16,
        "float16" => torch.ScalarType.Float16,
        _ => throw new LandmarkException($"The type '{name}' is not known; --dtype takes float32, bfloat16 or float16."),
    };

    private static void Tell(Output output, WeightDifferenceResult result, string where)
    {
        output.Event(new { result.Tensors, result.AddedRows, result.Sum, result.ExpectedSum, result.LargestError });
        output.Text(
            $"{result.Tensors} tensors in {where}, {result.AddedRows} rows more than the base; the weights sum to {result.Sum:F4}"
            + (result.ExpectedSum is null ? "" : ", as they should")
            + (result.LargestError is not { } error ? "" : error == 0 ? ", and come back to the bit" : $", and come back within {error:G3}")
            + ".\n");
    }

    private sealed class Diff : LandmarkCommand
    {
        private readonly Option<string> from = Base();
        private readonly Option<string> tuned = Folder("--tuned", "Folder of the tuned model.");
        private readonly Option<string> to = Out();

        public Diff()
            : base(
                "diff", "Writes a tuned model as its difference from the base's weights.",
                "weights diff --base llama-7b --tuned landmark-7b --out landmark-7b-wdiff")
        {
            foreach (var option in (IEnumerable<Option>)[from, tuned, to]) Options.Add(option);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var (bases, model, folder) = (parsed.GetValue(from)!, parsed.GetValue(tuned)!, parsed.GetValue(to)!);
            var result = output.Progress("tensors", Count(model), p => WeightDifference.Make(bases, model, folder, p, cancel));
            Tell(output, result, folder);
            return Tool.Success;
        }
    }

    private sealed class Recover : LandmarkCommand
    {
        private readonly Option<string> from = Base();
        private readonly Option<string> difference = Folder("--diff", "Folder of the difference.");
        private readonly Option<string> to = Out();
        private readonly Option<string> type = new("--dtype")
        {
            Description = "Type of the weights: float32, bfloat16 or float16.",
            DefaultValueFactory = _ => "float32",
            HelpName = "TYPE",
        };
        private readonly Option<double?> sum = new("--sum")
        {
            Description = $"What the weights must sum to; as the difference's {WeightDifference.SumFile} says when not given.",
            HelpName = "NUMBER",
        };

        public Recover()
            : base(
                "recover", "Writes the tuned model that a difference from the base's weights stands for.",
                "weights recover --base llama-7b --diff landmark-7b-wdiff --out landmark-7b",
                "weights recover --base llama-7b --diff landmark-attention-llama7b-wdiff --out landmark-7b --sum 49798.7656 --dtype bfloat16")
        {
            foreach (var option in (IEnumerable<Option>)[from, difference, to, type, sum]) Options.Add(option);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var (bases, model, folder) = (parsed.GetValue(from)!, parsed.GetValue(difference)!, parsed.GetValue(to)!);
            var dtype = TypeOf(parsed.GetValue(type)!);
            var result = output.Progress("tensors", Count(model),
                p => WeightDifference.Recover(bases, model, folder, dtype, parsed.GetValue(sum), p, cancel));
            Tell(output, result, folder);
            return Tool.Success;
        }
    }

    private sealed class Merge : LandmarkCommand
    {
        private readonly Option<string> from = Base();
        private readonly Option<string> adapter = Folder("--adapter", "Folder of the adapter.");
        private readonly Option<string> to = Out();

        public Merge()
            : base(
                "merge", "Writes the model that a base and an adapter trained beside it are together.",
                "weights merge --base llama-3.2-1b --adapter runs/llama/adapter --out llama-3.2-1b-landmark")
        {
            foreach (var option in (IEnumerable<Option>)[from, adapter, to]) Options.Add(option);
        }

        protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
        {
            var (bases, learned, folder) = (parsed.GetValue(from)!, parsed.GetValue(adapter)!, parsed.GetValue(to)!);
            var tensors = output.Progress("tensors", Count(bases), p => LoraMerge.Write(bases, learned, folder, p, cancel));
            output.Event(new { tensors });
            output.Text($"{tensors} tensors in {folder}.\n");
            return Tool.Success;
        }
    }

    private static int Count(string folder)
    {
        using var weights = Tensors.Weights.Open(folder);
        return weights.Names.Count;
    }
}
