namespace LandmarkSharp.Server.Api;

/// <summary>A piece of a request's body, as it comes or does not.</summary>
internal static class BodyPiece
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Reads the next one.</summary>
    /// <param name="body">The body.</param>
    /// <param name="piece">Where it goes.</param>
    /// <param name="cancel">Told when the client goes away.</param>
    /// <returns>Its bytes; 0 at the body's end.</returns>
    /// <exception cref="RequestException">Nothing comes, or no HTTP.</exception>
    /// <exception cref="BadHttpRequestException">The body is longer than it may be.</exception>
    public static async Task<int> Read(Stream body, Memory<byte> piece, CancellationToken cancel)
    {
        // Kestrel asks for an average rate, which who sent much at once keeps for long without another byte.
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        late.CancelAfter(Patience);
        try
        {
            return await body.ReadAsync(piece, late.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new RequestException(
                StatusCodes.Status408RequestTimeout, $"Nothing of the body came for {Patience.TotalSeconds:F0} seconds; send it again, or go on where it stopped.");
        }
        catch (IOException e) when (e is not BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge })
        {
            // Kestrel has a status for most of what is no HTTP, but not for a chunk of more bytes than it counts.
            throw new RequestException(
                (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest,
                "The body did not come as it was announced; send it again, or go on where it stopped.");
        }
    }
}
