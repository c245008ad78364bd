namespace LandmarkSharp.Text;

/// <summary>What a piece of a vocabulary stands for, and so how it is matched in text and shown again.</summary>
internal enum PieceKind
{
    /// <summary>Ordinary text, reached by merging.</summary>
    Normal,

    /// <summary>Stands for whatever the vocabulary cannot spell.</summary>
    Unknown,

    /// <summary>A mark such as the start of text: never made from ordinary text, never shown.</summary>
    Control,

    /// <summary>Text that is always one token wherever it occurs.</summary>
    UserDefined,

    /// <summary>One byte, for characters that have no piece of their own.</summary>
    Byte,
}
