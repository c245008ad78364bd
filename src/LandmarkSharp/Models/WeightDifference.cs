using System.Globalization;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>What was computed.</summary>
/// <param name="Tensors">How many tensors.</param>
/// <param name="AddedRows">Rows of the tuned embedding that the base lacks.</param>
/// <param name="Sum">The tuned weights' sum, with the rotary tables that old versions of transformers kept among them.</param>
/// <param name="ExpectedSum">The sum that was asked for; null where none is known.</param>
/// <param name="LargestError">Of a difference: how far the weights that come back from it are from the tuned.</param>
public sealed record WeightDifferenceResult(int Tensors, long AddedRows, double Sum, double? ExpectedSum, double? LargestError);

/// <summary>
/// A tuned model as its difference from the base's weights, the form in which the official landmark model of LLaMA 7B is
/// published (epfml/landmark-attention, llama/weight_diff.py): tuned − base in float32, in the tuned shapes. For rows of the
/// embeddings that the base lacks stands the mean of its rows, with which their training began. One tensor is in memory at a time.
/// </summary>
/// <remarks>
/// Float32 weights come back to the bit where the difference is exact: where a tuned weight is between half and twice the base's,
/// as nearly all are; else to half a unit in the last place of the larger. 16-bit weights, written in their own type again, come
/// back to the bit unless a weight is smaller than the base's by 2¹³ times (float16) or 2¹⁶ (bfloat16).
/// </remarks>
public static class WeightDifference
{
    /// <summary>The file beside a difference that has the tuned weights' sum.</summary>
    public const string SumFile = "checksum_psum.txt";

    private const long ShardBytes = 5L << 30;
    private static readonly string[] Embeddings = ["model.embed_tokens.weight", "lm_head.weight"];

    /// <summary>Writes a difference, with the tuned model's configuration and tokenizer.</summary>
    /// <param name="baseFolder">The model that was tuned.</param>
    /// <param name="tunedFolder">What became of it.</param>
    /// <param name="output">A new folder.</param>
    /// <param name="progress">Told of tensors done.</param>
    /// <param name="cancel">Stops between two tensors; nothing is left.</param>
    /// <exception cref="LandmarkException">The two are not of one model, or a file is missing or damaged.</exception>
    public static WeightDifferenceResult Make(
        string baseFolder, string tunedFolder, string output, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        using var pair = new Pair(baseFolder, tunedFolder);
        var (sum, error) = (pair.RotaryTables, 0.0);
        ModelFiles.WriteNew(output, partial =>
        {
            pair.Write(partial, ScalarType.Float32, (tuned, old) =>
            {
                sum += tuned.sum(ScalarType.Float64).item<double>();
                var difference = tuned - old;
                error = Math.Max(error, (difference + old - tuned).abs().max().item<float>());
                return difference;
            }, progress, cancel);
            File.WriteAllText(Path.Combine(partial, SumFile), sum.ToString("R", CultureInfo.InvariantCulture) + "\n");
        });
        return new WeightDifferenceResult(pair.Tensors, pair.AddedRows, sum, null, error);
    }

    /// <summary>Writes the tuned model that a difference stands for.</summary>
    /// <param name="baseFolder">The model that was tuned.</param>
    /// <param name="differenceFolder">The difference.</param>
    /// <param name="output">A new folder.</param>
    /// <param name="type">The type of the weights; the sum is taken in float32 before.</param>
    /// <param name="expectedSum">What the weights must sum to; null for what the difference's folder says, if it does.</param>
    /// <param name="progress">Told of tensors done.</param>
    /// <param name="cancel">Stops between two tensors; nothing is left.</param>
    /// <exception cref="LandmarkException">
    /// The two are not of one model, a file is missing or damaged, or the weights have another sum.
    /// </exception>
    public static WeightDifferenceResult Recover(
        string baseFolder, string differenceFolder, string output, ScalarType type = ScalarType.Float32, double? expectedSum = null,
        IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        using var pair = new Pair(baseFolder, differenceFolder);
        var expected = expectedSum ?? SumOf(differenceFolder);
        var sum = pair.RotaryTables;
        ModelFiles.WriteNew(output, partial =>
        {
            pair.Write(partial, type, (difference, old) =>
            {
                var tuned = difference + old;
                sum += tuned.sum(ScalarType.Float64).item<double>();
                return tuned.to(type);
            }, progress, cancel);
            // The official sum was taken in float32, which leaves the last digits to the order of the terms.
            if (expected is { } asked && !(Math.Abs(sum - asked) <= 0.01 + (1e-6 * Math.Abs(asked))))
                throw new LandmarkException(string.Create(CultureInfo.InvariantCulture,
                    $"The recovered weights sum to {sum:F4} and should to {asked:F4}: {baseFolder} is not the base of "
                    + $"{differenceFolder}, or files are damaged; fetch them again."));
        });
        return new WeightDifferenceResult(pair.Tensors, pair.AddedRows, sum, expected, null);
    }

    private static double? SumOf(string folder)
    {
        var path = Path.Combine(folder, SumFile);
        if (!File.Exists(path)) return null;
        return double.TryParse(File.ReadAllText(path), NumberStyles.Float, CultureInfo.InvariantCulture, out var sum) ? sum
            : throw new LandmarkException($"{path} holds no number; fetch it again, or delete it to go without.");
    }

    /// <summary>The base and what is added to it or taken from it, found to be of one model.</summary>
    private sealed class Pair : IDisposable
    {
        private readonly Weights bases, others;
        private readonly string folder;
        private readonly string[] names;

        public Pair(string baseFolder, string folder)
        {
            LibTorch.Load();
            this.folder = folder;
            var config = ConfigFile.Load(folder);
            bases = Weights.Open(baseFolder);
            try
            {
                others = Weights.Open(folder);
                names = [.. others.Names.Where(n => !IsRotaryTable(n))];
                foreach (var name in names) RequireFitting(name, baseFolder);
                var lacking = bases.Names.Where(n => !others.Contains(n) && !Checkpoint.Derived(n, config)).ToArray();
                if (lacking.Length > 0)
                    throw new LandmarkException(
                        $"{baseFolder} has tensors that {folder} lacks, such as {lacking[0]}; "
                        + "give folders of one model.");
                AddedRows = names.Where(Embeddings.Contains).Select(n => others.Entry(n).Shape[0] - bases.Entry(n).Shape[0])
                    .DefaultIfEmpty().Max();
            }
            catch
            {
                Dispose();
                throw;
            }
            RotaryTables = config.Layers
                * Enumerable.Range(0, config.HeadDim / 2).Sum(i => Math.Pow(config.Rotary.Theta, -2.0 * i / config.HeadDim));
        }

        public int Tensors => names.Length;

        public long AddedRows { get; }

        /// <summary>The sum of what is no weight and the official sum counts all the same.</summary>
        public double RotaryTables { get; }

        /// <summary>Writes what a function makes of each tensor and the base's, both float32, and copies the files beside.</summary>
        public void Write(
            string output, ScalarType type, Func<Tensor, Tensor, Tensor> combine, IProgress<long>? progress, CancellationToken cancel)
        {
            var done = 0;
            SafeTensors.WriteSharded(output, names.Select(name => new PlannedTensor(name, type, others.Entry(name).Shape, () =>
            {
                cancel.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var shape = others.Entry(name).Shape;
                var made = combine(others.Get(name, shape).to(ScalarType.Float32), Base(name, shape[0])).MoveToOuterDisposeScope();
                progress?.Report(++done);
                return made;
            })), ShardBytes);
            ModelFiles.CopyBeside(folder, output);
            ModelFiles.SayType(output, type);
        }

        public void Dispose()
        {
            bases.Dispose();
            others?.Dispose();      // not there where it could not be opened
        }

        private Tensor Base(string name, long rows)
        {
            var read = bases.Get(name, bases.Entry(name).Shape).to(ScalarType.Float32);
            return rows == read.shape[0] ? read : cat([read, read.mean([0], keepdim: true).expand(rows - read.shape[0], -1)]);
        }

        private void RequireFitting(string name, string baseFolder)
        {
            var (ours, theirs) = (bases.Entry(name), others.Entry(name));
            var rows = Embeddings.Contains(name) && theirs.Shape.Length == 2 && ours.Shape.Length == 2;
            if (!(rows && theirs.Shape[0] >= ours.Shape[0] ? theirs.Shape[1] == ours.Shape[1] : theirs.Shape.SequenceEqual(ours.Shape)))
                throw new LandmarkException(
                    $"Tensor '{name}' has the shape [{string.Join(", ", ours.Shape)}] in {baseFolder} and "
                    + $"[{string.Join(", ", theirs.Shape)}] in {folder}; give folders of one model.");
            foreach (var (entry, where) in (ReadOnlySpan<(TensorEntry, string)>)[(ours, baseFolder), (theirs, folder)])
                if (!is_floating_point(entry.Type))
                    throw new LandmarkException(
                        $"Tensor '{name}' in {where} is {entry.Type}, and only weights of floating point have differences; "
                        + "give models that are not quantised.");
        }

        private static bool IsRotaryTable(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
    }
}
