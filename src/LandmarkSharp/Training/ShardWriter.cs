using System.Runtime.InteropServices;

namespace LandmarkSharp.Training;

/// <summary>Writes the documents of a source one after the other: their tokens to one file, where each starts to another.</summary>
/// <param name="tokens">Gets the token ids.</param>
/// <param name="starts">Gets the starts.</param>
/// <param name="bytesPerToken">2 or 4.</param>
internal sealed class ShardWriter(string tokens, string starts, int bytesPerToken) : IDisposable
{
    private readonly FileStream tokenFile = File.Create(tokens);
    private readonly FileStream startFile = File.Create(starts);
    private long start;

    /// <summary>Tokens written.</summary>
    public long Tokens { get; private set; }

    /// <summary>Documents that are whole.</summary>
    public long Documents { get; private set; }

    /// <summary>Goes on with a document.</summary>
    public void Append(ReadOnlySpan<int> ids)
    {
        Tokens += ids.Length;
        if (bytesPerToken == 4)
        {
            tokenFile.Write(MemoryMarshal.AsBytes(ids));
            return;
        }
        var narrow = new ushort[ids.Length];
        for (var i = 0; i < narrow.Length; i++) narrow[i] = (ushort)ids[i];
        tokenFile.Write(MemoryMarshal.AsBytes<ushort>(narrow));
    }

    /// <summary>The document is whole.</summary>
    public void End()
    {
        startFile.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in start)));
        (start, Documents) = (Tokens, Documents + 1);
    }

    /// <summary>The document broke off: nothing of it stays.</summary>
    public void Forget()
    {
        Tokens = start;
        tokenFile.SetLength(start * bytesPerToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        tokenFile.Dispose();
        startFile.Dispose();
    }
}
