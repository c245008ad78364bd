using System.Runtime.InteropServices;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// What a layer's attention loses by reading k blocks where dense landmark attention reads all, at equal queries: sums over queries that
/// have blocks before their window, heads counted, and what follows from them.
/// </summary>
/// <param name="Rows">Queries, times heads.</param>
/// <param name="Read">Blocks that were chosen.</param>
/// <param name="Past">
/// Dense gates P of the blocks before the window (landmark-attention.md 1.3); all of attention would be <paramref name="Rows"/>.
/// </param>
/// <param name="Caught">Those of the blocks that were chosen.</param>
/// <param name="Best">Those of each query and head's k greatest: what a choice could catch that is shared by nobody and knows the gates.</param>
/// <param name="SquaredError">‖retrieved − dense‖² of the outputs.</param>
/// <param name="SquaredNorm">‖dense‖².</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct AttentionFidelity(
    double Rows, double Read, double Past, double Caught, double Best, double SquaredError, double SquaredNorm)
{
    /// <summary>
    /// Blocks read by a query and head: k, or fewer where there are not so many or <see cref="Attention.RetrievalOptions.Mass"/> ends the
    /// choice.
    /// </summary>
    public double BlocksRead => Read / Rows;

    /// <summary>
    /// Of the mass that dense attention gives to blocks before the window, the share in blocks that were chosen; 1 where there is none.
    /// </summary>
    public double PastShare => Past == 0 ? 1 : Caught / Past;

    /// <summary>The greatest such share that k blocks could have.</summary>
    public double BestShare => Past == 0 ? 1 : Best / Past;

    /// <summary>Of all of dense attention's mass, the share in chosen blocks and in the window.</summary>
    public double AllShare => 1 - ((Past - Caught) / Rows);

    /// <summary>‖retrieved − dense‖ / ‖dense‖.</summary>
    public double OutputError => Ratio(SquaredError, SquaredNorm);

    /// <summary>Both together.</summary>
    public static AttentionFidelity operator +(AttentionFidelity a, AttentionFidelity b) => new(
        a.Rows + b.Rows, a.Read + b.Read, a.Past + b.Past, a.Caught + b.Caught, a.Best + b.Best,
        a.SquaredError + b.SquaredError, a.SquaredNorm + b.SquaredNorm);

    /// <summary>What two squared norms are to each other before they were squared; 0 where there is no error.</summary>
    internal static double Ratio(double squaredError, double squaredNorm) => squaredError == 0 ? 0 : Math.Sqrt(squaredError / squaredNorm);
}
