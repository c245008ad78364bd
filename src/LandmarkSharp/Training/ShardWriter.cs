using System.Runtime.InteropServices;

namespace LandmarkSharp.Training;

/// <summary>Writes the documents of a source one after the other: their tokens to one file, where each starts to another.</summary>
/// <param name="tokens">Gets the token ids.</param>
/// <param name="starts">Gets the starts.</param>
/// <param name="bytesPerToken">2 or 4.</param>
/// <exception cref="LandmarkException">The disk refuses, here or later.</exception>
internal sealed class ShardWriter(string tokens, string starts, int bytesPerToken) : IDisposable
{
    private readonly FileStream tokenFile = Create(tokens);
    private readonly FileStream startFile = Create(starts);
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
            Write(tokenFile, MemoryMarshal.AsBytes(ids));
            return;
        }
        var narrow = new ushort[ids.Length];
        for (var i = 0; i < narrow.Length; i++) narrow[i] = (ushort)ids[i];
        Write(tokenFile, MemoryMarshal.AsBytes<ushort>(narrow));
    }

    /// <summary>The document is whole.</summary>
    public void End()
    {
        Write(startFile, MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in start)));
        (start, Documents) = (Tokens, Documents + 1);
    }

    /// <summary>The document broke off: nothing of it stays.</summary>
    public void Forget()
    {
        Tokens = start;
        WholeFiles.Guard(tokenFile.Name, () => tokenFile.SetLength(start * bytesPerToken));
    }

    /// <summary>Has both files on the disk.</summary>
    public void Finish()
    {
        foreach (var file in (ReadOnlySpan<FileStream>)[tokenFile, startFile])
            WholeFiles.Guard(file.Name, () => file.Flush(flushToDisk: true));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in (ReadOnlySpan<FileStream>)[tokenFile, startFile])
        {
            try
            {
                file.Dispose();
            }
            catch (Exception e) when (WholeFiles.IsRefusal(e))
            {
                // It tries once more to write what was refused, and that has been said.
            }
        }
    }

    private static FileStream Create(string path)
    {
        FileStream? file = null;
        WholeFiles.Guard(path, () => file = File.Create(path, bufferSize: 1 << 16));
        return file!;
    }

    private static void Write(FileStream file, ReadOnlySpan<byte> bytes)
    {
        try
        {
            file.Write(bytes);
        }
        catch (Exception e) when (WholeFiles.IsRefusal(e))
        {
            throw WholeFiles.Refused(file.Name, e);
        }
    }
}
