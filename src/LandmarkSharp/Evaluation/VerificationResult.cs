namespace LandmarkSharp.Evaluation;

/// <summary>One comparison of computed numbers with expected ones.</summary>
/// <param name="Name">The expected entry, such as <c>logits</c> or <c>per_token_and_head.decode_logits</c>.</param>
/// <param name="MaxError">
/// The largest absolute difference; for generated tokens, how many differ. <see cref="double.MaxValue"/> where a number came out
/// as none, so that it can be written as JSON.
/// </param>
/// <param name="Tolerance">The largest error that passes.</param>
public sealed record VerificationCheck(string Name, double MaxError, double Tolerance)
{
    /// <summary>Whether the error is within the tolerance.</summary>
    public bool Pass => MaxError <= Tolerance;
}

/// <summary>What a verification found.</summary>
/// <param name="Checks">Every comparison that the file allowed; at least one.</param>
/// <param name="Skipped">Entries of the file that were part of none.</param>
public sealed record VerificationResult(IReadOnlyList<VerificationCheck> Checks, IReadOnlyList<string> Skipped)
{
    /// <summary>Whether every check passed.</summary>
    public bool Pass => Checks.All(c => c.Pass);
}
