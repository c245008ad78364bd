using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// Compares this implementation with numbers that another one made: the official code's attention, or a model's logits and
/// greedy tokens as transformers or the official landmark code give them.
/// </summary>
public static class Verification
{
    /// <summary>The file of a model folder that has the numbers to compare with.</summary>
    public const string ExpectedFile = "expected.safetensors";

    /// <summary>Runs every comparison that the entries of a file allow.</summary>
    /// <param name="path">
    /// An attention case: a safetensors file with <c>q [B, H, T, d]</c>, <c>k</c>, <c>v [B, G, S, d]</c>, and of <c>weights</c>
    /// [B, H, T, S], <c>out</c>, and with <c>grad_out</c> also <c>grad_q</c>, <c>grad_k</c>, <c>grad_v</c>, those to compare.
    /// Or a model folder with <see cref="ExpectedFile"/>, of which these are compared:
    /// <c>tokens</c> [B, T] with <c>logits</c> [B, T, V] and <c>generated</c> (a greedy continuation, after the part of the tokens
    /// that it continues), by plain causal attention; and for a landmark model <c>train_input</c> with <c>train_logits</c> (all
    /// blocks seen), and by selection mode (<c>per_token_and_head</c>, <c>max_over_tokens</c>, <c>max_over_heads</c>)
    /// <c>MODE.logits</c> of <c>input</c> fed in the configuration's chunks, <c>MODE.generated</c> and <c>MODE.decode_logits</c>.
    /// Of a model with a context-miss token, which no other implementation has, the plain part alone is compared.
    /// </param>
    /// <param name="device">Where a model runs; the CPU when null. Attention cases are computed in float64 on the CPU.</param>
    /// <exception cref="LandmarkException">The path is neither, or its parts do not belong together.</exception>
    public static VerificationResult Run(string path, Device? device = null)
    {
        LibTorch.Load();
        if (File.Exists(path) && Path.GetFileName(path) != ExpectedFile)
            return Compare(
                path,
                "it is no attention case, which has tensors q, k, v and at least one of weights, out and, "
                + "with grad_out, grad_q, grad_k, grad_v",
                VerificationAttention.Checks);
        var folder = File.Exists(path) ? Path.GetDirectoryName(Path.GetFullPath(path))! : path;
        if (!Directory.Exists(folder))
            throw new LandmarkException(
                $"There is no file or folder '{path}'; give a model folder with {ExpectedFile} in it, or an attention case.");
        var expected = Path.Combine(folder, ExpectedFile);
        if (!File.Exists(expected))
            throw new LandmarkException(
                $"{folder} has no {ExpectedFile}, so there is nothing to compare with; "
                + "write it with the implementation that is to be compared.");
        return Compare(expected, "they are not of a form that can be compared with this model", file =>
        {
            using var decoder = Checkpoint.Load(folder, device ?? CPU);
            return new VerificationModel(decoder, file).Checks();
        });
    }

    private static VerificationResult Compare(
        string path, string otherwise, Func<VerificationCase, IReadOnlyList<VerificationCheck>> compare)
    {
        using var expected = new VerificationCase(path);
        var checks = compare(expected);
        if (checks.Count == 0)
            throw new LandmarkException($"{path} has the tensors {string.Join(", ", expected.Names.Take(12))}: {otherwise}.");
        return new VerificationResult(checks, expected.Unused);
    }
}
