using System.Text.Json;

namespace LandmarkSharp.Training.Corpus;

/// <summary>JSON Lines: an object a line, a field of it the document. A row is a line, blank ones counted and passed over.</summary>
internal static class JsonLinesRows
{
    /// <summary>A file that has no line ends must not be read into memory whole in search of one.</summary>
    private const int LongestLine = 1 << 27;

    public static IEnumerable<CorpusRow> Read(Stream stream, string field)
    {
        var row = 0L;
        foreach (var line in Lines(stream))
        {
            row++;
            if (line is null) yield return CorpusRow.Without(row, $"is longer than {LongestLine >> 20} MiB");
            else if (line.Value.Span.ContainsAnyExcept(" \t\r"u8)) yield return Parse(row, line.Value, field);
        }
    }

    private static CorpusRow Parse(long row, ReadOnlyMemory<byte> line, string field)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind != JsonValueKind.Object) return CorpusRow.Without(row, "is no JSON object");
            if (!json.RootElement.TryGetProperty(field, out var value)) return CorpusRow.Without(row, $"has no field '{field}'");
            return value.ValueKind switch
            {
                JsonValueKind.String => CorpusRow.Of(row, value.GetString()!),
                JsonValueKind.Null => CorpusRow.Null(row, field),
                JsonValueKind.Number => CorpusRow.Without(row, $"has a number for '{field}'"),
                JsonValueKind.Array => CorpusRow.Without(row, $"has a list for '{field}'"),
                JsonValueKind.Object => CorpusRow.Without(row, $"has an object for '{field}'"),
                _ => CorpusRow.Without(row, $"has a truth value for '{field}'"),
            };
        }
        catch (JsonException e)
        {
            return CorpusRow.Without(row, $"is not JSON from its byte {e.BytePositionInLine} on");
        }
        catch (InvalidOperationException)
        {
            return CorpusRow.Without(row, $"has bytes or escapes in '{field}' that are no characters");
        }
    }

    /// <summary>The lines without their ends, each valid until the next is asked for; null for one that is too long.</summary>
    private static IEnumerable<ReadOnlyMemory<byte>?> Lines(Stream stream)
    {
        var buffer = new byte[1 << 16];
        // A line begins at start; it is known not to end before seen.
        var (start, seen, end, isTooLong) = (0, 0, SkipMark(stream, buffer), false);
        while (true)
        {
            var length = buffer.AsSpan(seen, end - seen).IndexOf((byte)'\n');
            if (length >= 0)
            {
                yield return isTooLong ? null : buffer.AsMemory(start, seen + length - start);
                start = seen += length + 1;
                isTooLong = false;
                continue;
            }
            if (end - start >= LongestLine) (isTooLong, start) = (true, end);
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
            seen = end;
            if (end == buffer.Length) Array.Resize(ref buffer, 2 * end);
            if (stream.Read(buffer, end, buffer.Length - end) is > 0 and var read)
            {
                end += read;
                continue;
            }
            if (end > 0 || isTooLong) yield return isTooLong ? null : buffer.AsMemory(0, end);
            yield break;
        }
    }

    /// <summary>Reads the first bytes, less the mark of UTF-8.</summary>
    private static int SkipMark(Stream stream, byte[] buffer)
    {
        var read = stream.ReadAtLeast(buffer.AsSpan(0, 3), 3, throwOnEndOfStream: false);
        return buffer.AsSpan(0, read) is [0xEF, 0xBB, 0xBF] ? 0 : read;
    }
}
