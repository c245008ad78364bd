using System.Security.Cryptography;
using LandmarkSharp.Server.Api;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// How documents come to a caller's memories: in one request, or in pieces that go on where they stopped. Until they are whole they lie apart
/// from the memory, which knows nothing of them.
/// </summary>
/// <param name="shelf">The caller's memories.</param>
internal sealed class Uploads(MemoryShelf shelf)
{
    private const int NoSpace = 28;                                                         // ENOSPC

    /// <summary>Takes a document that comes at once; it is in place of one of its name when it has been read.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="document">The document's name.</param>
    /// <param name="mediaType">What it is; text when null.</param>
    /// <param name="body">Its bytes.</param>
    /// <param name="length">How many, if that is known.</param>
    /// <param name="cancel">Gives it up.</param>
    /// <exception cref="RequestException">A name or the type is none, the memory is not there, or there is no room.</exception>
    public async Task<DocumentInfo> Put(string memory, string document, string? mediaType, Stream body, long? length, CancellationToken cancel)
    {
        var type = DocumentConversion.Known(mediaType);
        MemoryNames.Document(document);
        shelf.Caller.Spend(0);
        shelf.RequireRoom(memory, length ?? 0);
        var incoming = shelf.Queue.Add(new IncomingRecord(NewId(), memory, document, type, DateTimeOffset.UtcNow));
        try
        {
            var tooMuch = $"A document may have {shelf.UploadBytes:N0} bytes here; send a shorter one, or several.";
            await Append(incoming, body, shelf.UploadBytes, tooMuch, cancel);
            await Accept(incoming, cancel);
        }
        catch
        {
            shelf.Queue.Remove(incoming);
            throw;
        }
        return shelf.Document(memory, document);
    }

    /// <summary>Begins to take a document that comes in pieces.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="document">The document's name.</param>
    /// <param name="bytes">Bytes that it will have.</param>
    /// <param name="sha256">Their hash, in hexadecimal; null to take them as they come.</param>
    /// <param name="mediaType">What it is; text when null.</param>
    /// <exception cref="RequestException">Something is out of range, the memory is not there, or there is no room.</exception>
    public UploadInfo Begin(string memory, string? document, long? bytes, string? sha256, string? mediaType)
    {
        var type = DocumentConversion.Known(mediaType);
        MemoryNames.Document(document);
        shelf.Caller.Spend(0);
        if (bytes is not >= 1) throw RequestException.Field("bytes", "The field 'bytes' must be the number of the document's bytes; send it.");
        if (sha256 is not null && (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigit)))
            throw RequestException.Field("sha256", "The field 'sha256' must be 64 hexadecimal digits; correct it, or leave it out.");
        shelf.RequireRoom(memory, bytes.Value);
        return Told(shelf.Queue.Add(new IncomingRecord(NewId(), memory, document!, type, DateTimeOffset.UtcNow, bytes, sha256)));
    }

    /// <summary>How far an upload is.</summary>
    /// <exception cref="RequestException">There is none, or not any more: its hash is another, or it is no text.</exception>
    public async Task<UploadInfo> Describe(string memory, string id)
    {
        var incoming = Find(memory, id);
        if (await incoming.Writing.WaitAsync(0))
        {
            try
            {
                await Finish(incoming);                                                           // a server that was killed may have had all of it
            }
            finally
            {
                incoming.Writing.Release();
            }
        }
        return Told(incoming);
    }

    /// <summary>Takes the next piece. When it was the last one, the document is checked, and read as soon as it can be.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="id">The upload's id.</param>
    /// <param name="offset">Bytes that are there.</param>
    /// <param name="body">The piece.</param>
    /// <param name="cancel">Ends it; what has come by then is there.</param>
    /// <exception cref="RequestException">There is no such upload, other bytes are there, too many come, or the hash is another.</exception>
    public async Task<UploadInfo> Append(string memory, string id, long offset, Stream body, CancellationToken cancel)
    {
        var incoming = Find(memory, id);
        if (!await incoming.Writing.WaitAsync(0, cancel))
            throw Conflict("Another request sends this upload; wait until that has ended, and ask where to go on.", "upload_busy");
        try
        {
            if (incoming.State != IncomingState.Receiving) throw Conflict("All of this upload is there; see its document.", "upload_complete");
            var received = incoming.Received;
            if (offset != received) throw Conflict($"{received} bytes of this upload are there, and not {offset}; go on from there.", "wrong_offset");
            var most = incoming.Record.Bytes!.Value;
            shelf.RequireRoom(memory, most - received);
            await Append(incoming, body, most, $"The upload has {most} bytes, and more came; send what it has.", cancel);
            await Finish(incoming);
            return Told(incoming);
        }
        finally
        {
            incoming.Writing.Release();
        }
    }

    /// <summary>Gives an upload up.</summary>
    /// <exception cref="RequestException">There is none.</exception>
    public void Remove(string memory, string id) => shelf.Queue.Remove(Find(memory, id));

    /// <summary>Has an upload read if all of it is there.</summary>
    private async Task Finish(Incoming incoming)
    {
        if (incoming.State != IncomingState.Receiving || incoming.Received < incoming.Record.Bytes) return;
        try
        {
            await using (var file = File.OpenRead(incoming.PartPath))
                if (incoming.Record.Sha256 is { } expected && !expected.Equals(Convert.ToHexString(await SHA256.HashDataAsync(file)), StringComparison.OrdinalIgnoreCase))
                    throw new RequestException(
                        StatusCodes.Status422UnprocessableEntity, "What came has another hash than was announced, and is gone; send it again.",
                        "sha256", "wrong_hash");
            // Who sent the last piece may be gone: all of it is there.
            await Accept(incoming, CancellationToken.None);
        }
        catch
        {
            shelf.Queue.Remove(incoming);
            throw;
        }
    }

    private static UploadInfo Told(Incoming incoming) => new(
        incoming.Record.Id, incoming.Record.Document, incoming.Record.Bytes!.Value,
        incoming.State == IncomingState.Receiving ? incoming.Received : incoming.Record.Bytes.Value, incoming.State.ToString().ToLowerInvariant(),
        incoming.Record.Error);

    private static string NewId() => Guid.NewGuid().ToString("N");

    private static RequestException Conflict(string message, string code) => new(StatusCodes.Status409Conflict, message, code: code);

    private Incoming Find(string memory, string id)
    {
        shelf.RequireRoom(memory, 0);                                                       // the memory is there
        return shelf.Queue.Find(memory, id) is { Record.Bytes: not null } found ? found : throw new RequestException(
            StatusCodes.Status404NotFound, $"There is no upload '{id}' to this memory; begin one.", "id", "upload_not_found");
    }

    private async Task Accept(Incoming incoming, CancellationToken cancel)
    {
        var (id, memory, document, type) = (incoming.Record.Id, incoming.Record.Memory, incoming.Record.Document, incoming.Record.MediaType);
        if (incoming.IsRemoved)
            throw new RequestException(
                StatusCodes.Status409Conflict, $"The document '{document}' was removed while it came; send it again.", code: "removed");
        shelf.RequireRoom(memory, incoming.Received);
        try
        {
            await DocumentConversion.ToText(type, incoming.PartPath, incoming.TextPath, document, shelf.UploadBytes, cancel);
        }
        catch (LandmarkException e)
        {
            throw new RequestException(StatusCodes.Status422UnprocessableEntity, e.Message, "document", "no_text");
        }
        shelf.Queue.Ready(incoming);
    }

    /// <summary>Writes what comes behind what is there, and has it on the disk; of too much, nothing stays.</summary>
    private static async Task Append(Incoming incoming, Stream body, long most, string tooMuch, CancellationToken cancel)
    {
        try
        {
            await using var file = new FileStream(incoming.PartPath, FileMode.Append, FileAccess.Write);
            var (begun, buffer) = (file.Length, new byte[1 << 16]);
            try
            {
                while (await BodyPiece.Read(body, buffer, cancel) is > 0 and var count)
                {
                    if (file.Length + count > most)
                    {
                        file.SetLength(begun);
                        throw new RequestException(StatusCodes.Status413PayloadTooLarge, tooMuch, code: "too_large");
                    }
                    await file.WriteAsync(buffer.AsMemory(0, count), cancel);
                }
            }
            finally
            {
                file.Flush(flushToDisk: true);
            }
        }
        catch (IOException e) when (e.HResult == NoSpace)
        {
            throw new RequestException(
                StatusCodes.Status507InsufficientStorage, "The server's disk is full; ask who runs it.", code: "insufficient_storage");
        }
        catch (BadHttpRequestException e)
        {
            throw new RequestException(e.StatusCode, tooMuch, code: "too_large");
        }
    }
}
