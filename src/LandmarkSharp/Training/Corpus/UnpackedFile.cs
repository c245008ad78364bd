namespace LandmarkSharp.Training.Corpus;

/// <summary>Tables are read from the description at their end: what can only be read forwards goes to a file first.</summary>
internal static class UnpackedFile
{
    /// <summary>A stream that can go back: the same, or a temporary file with what is left of it.</summary>
    public static Stream Of(Stream stream)
    {
        if (stream.CanSeek) return stream;
        var path = Path.GetTempFileName();
        var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        // Without its name it is gone with the process, however that ends.
        File.Delete(path);
        try
        {
            stream.CopyTo(file);
            file.Position = 0;
            return file;
        }
        catch (Exception e)
        {
            file.Dispose();
            if (WholeFiles.IsFull(e)) throw WholeFiles.Refused(path, e);
            throw;
        }
    }
}
