namespace LandmarkSharp.Text.Documents;

/// <summary>What a document's bytes are.</summary>
public enum DocumentFormat
{
    /// <summary>Text as it is: plain, Markdown, source code.</summary>
    Text,

    /// <summary>HTML or XHTML.</summary>
    Html,

    /// <summary>EPUB 2 or 3.</summary>
    Epub,

    /// <summary>PDF with text in it.</summary>
    Pdf,
}
