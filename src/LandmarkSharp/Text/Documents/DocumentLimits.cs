namespace LandmarkSharp.Text.Documents;

/// <summary>What a document may take to be turned into text; what takes more is refused.</summary>
public sealed record DocumentLimits
{
    /// <summary>Bytes of its file.</summary>
    public long Bytes { get; init; } = 256L << 20;

    /// <summary>Bytes of what is packed in it, unpacked, all together.</summary>
    public long UnpackedBytes { get; init; } = 1L << 30;

    /// <summary>Bytes of one part of that, unpacked: a chapter of an EPUB, a stream of a PDF.</summary>
    public long PartBytes { get; init; } = 32L << 20;

    /// <summary>Characters of its text.</summary>
    public int Characters { get; init; } = 64 << 20;

    /// <summary>Files in an EPUB, or pages of a PDF.</summary>
    public int Parts { get; init; } = 50_000;

    /// <summary>How long it may take; looked at between chapters, pages and what is packed in them.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromMinutes(10);
}
