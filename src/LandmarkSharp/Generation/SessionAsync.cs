using System.Runtime.CompilerServices;

namespace LandmarkSharp.Generation;

/// <content>Answers for those whose thread has other things to do.</content>
public sealed partial class Session
{
    /// <summary>
    /// Goes on with the text as <see cref="Generate"/> does; each token is computed on a thread of the pool, when it is asked for. Whoever
    /// leaves the loop may use the session at once: nothing is computed ahead.
    /// </summary>
    /// <inheritdoc cref="Generate"/>
    /// <exception cref="LandmarkException">As <see cref="Generate"/>, while it steps.</exception>
    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(
        GenerationOptions options, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        using var tokens = Generate(options, cancel).GetEnumerator();
        while (await Task.Run(tokens.MoveNext, CancellationToken.None).ConfigureAwait(false)) yield return tokens.Current;
    }
}
