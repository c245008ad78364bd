namespace LandmarkSharp;

/// <summary>
/// An error whose message is meant for the person at the keyboard: one sentence that says what is wrong, with the
/// file, field or value named, and what to do about it. The tool prints the message alone; a library user may catch it.
/// </summary>
public sealed class LandmarkException : Exception
{
    /// <summary>Creates the error from its sentence.</summary>
    public LandmarkException(string message)
        : base(message) { }

    /// <summary>Creates the error from its sentence and the failure that lies behind it.</summary>
    public LandmarkException(string message, Exception inner)
        : base(message, inner) { }

    /// <summary>Creates an error with no message; prefer the other constructors.</summary>
    public LandmarkException() { }
}
