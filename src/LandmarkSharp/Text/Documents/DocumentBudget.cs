using System.Diagnostics;

namespace LandmarkSharp.Text.Documents;

/// <summary>What turning a document into text has taken, and its end where that is more than it may.</summary>
/// <param name="name">What the document is called in an error.</param>
/// <param name="limits">What it may take.</param>
/// <param name="cancel">Asked to stop.</param>
internal sealed class DocumentBudget(string name, DocumentLimits limits, CancellationToken cancel)
{
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private long unpacked;

    public string Name => name;

    /// <summary>Why it was ended: parsers of damaged files may hide it.</summary>
    public LandmarkException? Ended { get; private set; }

    /// <summary>Reads a whole file.</summary>
    public byte[] ReadFile(Stream stream)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[1 << 16];
        for (int read; (read = stream.Read(buffer)) > 0;)
        {
            bytes.Write(buffer, 0, read);
            if (bytes.Length > limits.Bytes) End($"has more than {limits.Bytes:N0} bytes; give it in parts");
            Look();
        }
        return bytes.ToArray();
    }

    /// <summary>Counts what was unpacked.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="ofPart">How much of a part, so far.</param>
    public void Unpack(long bytes, ref long ofPart)
    {
        (unpacked, ofPart) = (unpacked + bytes, ofPart + bytes);
        if (ofPart > limits.PartBytes) End($"has a part that unpacks to more than {limits.PartBytes:N0} bytes; give it in smaller ones");
        if (unpacked > limits.UnpackedBytes) End($"unpacks to more than {limits.UnpackedBytes:N0} bytes; give it in parts");
        Look();
    }

    /// <summary>Looks at how many parts there are.</summary>
    public void Parts(int count, string what)
    {
        if (count > limits.Parts) End($"has {count:N0} {what}, and {limits.Parts:N0} are taken; give it in parts");
    }

    /// <summary>Looks at the text's length.</summary>
    public void Characters(long length)
    {
        if (length > limits.Characters) End($"has a text of more than {limits.Characters:N0} characters; give it in parts");
    }

    /// <summary>Looks at the time, and at whether it was ended.</summary>
    public void Look()
    {
        cancel.ThrowIfCancellationRequested();
        if (Ended is { } ended) throw ended;
        if (clock.Elapsed > limits.Time) End($"took more than {limits.Time.TotalSeconds:N0} seconds to turn into text; give it in parts");
    }

    private void End(string why)
    {
        Ended = new LandmarkException($"'{name}' {why}.");
        throw Ended;
    }
}
