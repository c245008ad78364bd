using System.Text;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>The text of a document's blocks, whose borders, and those of segments, may cut characters.</summary>
public sealed class MemoryTextTests
{
    [Fact]
    public void BlocksTextsAreTheDocumentsInPieces()
    {
        const string whole = "zwölf Boxkämpfer, 日本語 🎉🎉 und é; ende";
        var bytes = Encoding.UTF8.GetBytes(whole);
        using var folder = new TemporaryFolder();
        var model = MemoryScript.SmallModel;            // blocks of 3 tokens, here of a byte each, in segments of 2 blocks
        using (var writer = MemoryFileWriter.Create(folder["a"], model, ScalarType.Float32))
        {
            writer.Documents.Add("d");
            for (var at = 0; at < bytes.Length; at += 6)
            {
                var part = bytes[at..Math.Min(bytes.Length, at + 6)];
                var blocks = (part.Length + 2) / 3;
                writer.Documents.Append("d", new SegmentText([.. part.Select(b => (int)b)], [.. Enumerable.Range(0, part.Length)], part), segment =>
                {
                    for (var layer = 0; layer < model.Layers; layer++)
                    {
                        segment.WriteBlocks(layer, 0, new byte[blocks * 2 * 2 * 3 * 4 * 4], []);
                        segment.WriteLandmarks(layer, new float[blocks * 2 * 4]);
                    }
                }, filled: at + 6 > bytes.Length);
            }
            writer.Commit();
        }
        using var file = MemoryFile.Open(folder["a"]);
        var (document, texts, next) = (file.Documents[0], new StringBuilder(), 0L);
        for (var s = 0; s < document.Segments.Count; s++)
        {
            for (var block = 0; block < document.Segments[s].Blocks; block++)
            {
                var count = Math.Min(3, document.Segments[s].Tokens - (block * 3));
                var found = MemoryText.Read(file, document, s, block * 3, count);
                Assert.Equal((s * 6) + (block * 3), found.FirstToken);
                Assert.Equal(next, found.FirstByte);
                Assert.Equal(found.Text, Encoding.UTF8.GetString(bytes, (int)found.FirstByte, Encoding.UTF8.GetByteCount(found.Text)));
                for (var i = 0; i < count; i++)
                {
                    // A character is its last byte's.
                    var upTo = bytes[(int)found.FirstByte..Math.Max((int)found.FirstByte, (s * 6) + (block * 3) + i + 1)];
                    Assert.Equal(Encoding.UTF8.GetDecoder().GetCharCount(upTo, flush: false), found.Ends[i]);
                }
                next += Encoding.UTF8.GetByteCount(found.Text);
                texts.Append(found.Text);
            }
        }
        Assert.Equal(whole, texts.ToString());
    }
}
