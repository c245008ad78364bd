using System.IO.Compression;
using System.Text;
using LandmarkSharp.Text.Documents;

namespace LandmarkSharp.Tests.Text.Documents;

public sealed class PdfTextTests
{
    [Fact]
    public void ParagraphsAndPagesComeInOrder()
    {
        var pdf = Made.Pdf(
            [
                (60, 760, "The harbour of the town was closed in winter, and the"), (60, 748, "light-"), (60, 736, "house too. The code of the archive is 48216."),
                (60, 640, "A second paragraph stands below the first, with"), (60, 628, "its own two lines."),
            ],
            [(60, 700, "On the second page it ends.")]);
        Assert.Equal(
            "The harbour of the town was closed in winter, and the\nlighthouse too. The code of the archive is 48216.\n\n"
            + "A second paragraph stands below the first, with\nits own two lines.\n\nOn the second page it ends.",
            Made.Extract(pdf, DocumentFormat.Pdf));
    }

    [Fact]
    public void ColumnsAreReadOneAfterTheOther()
    {
        List<(double, double, string)> lines = [];
        for (var i = 0; i < 12; i++)
        {
            lines.Add((50, 700 - 12 * i, $"left line {i} of the first column"));
            lines.Add((320, 700 - 12 * i, $"right line {i} of the second one"));
        }
        var text = Made.Extract(Made.Pdf([.. lines]), DocumentFormat.Pdf);
        Assert.Equal(
            string.Join('\n', Enumerable.Range(0, 12).Select(i => $"left line {i} of the first column")) + "\n\n"
            + string.Join('\n', Enumerable.Range(0, 12).Select(i => $"right line {i} of the second one")), text);
    }

    [Fact]
    public void PagesThatArePicturesAreRefused() => Made.Fails("run text recognition", Made.Pdf([], []), DocumentFormat.Pdf);

    [Fact]
    public void DamagedOnesAreRefused()
    {
        var whole = Made.Pdf([(60, 700, "A line.")]);
        Made.Fails("is no PDF, or damaged", "%PDF-1.7 and so on"u8.ToArray(), DocumentFormat.Pdf);
        Made.Fails("is no PDF, or damaged", "plain text"u8.ToArray(), DocumentFormat.Pdf);
        Made.Fails("is no PDF, or damaged", whole[..(whole.Length / 4)], DocumentFormat.Pdf);
        Made.Fails("is empty", [], DocumentFormat.Pdf);
    }

    [Fact]
    public void BytesThatAreChangedGiveATextOrASentence()
    {
        var whole = Made.Pdf([(60, 700, "A line of text, and then another one.")], [(60, 700, "More of it.")]);
        var random = new Random(1);
        for (var trial = 0; trial < 200; trial++)
        {
            var bytes = (byte[])whole.Clone();
            for (var i = random.Next(1, 20); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                Assert.NotEmpty(Made.Extract(bytes, DocumentFormat.Pdf));
            }
            catch (LandmarkException e)
            {
                Assert.StartsWith("'the document' ", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void EncryptedOnesAreRefused()
    {
        // Opened by a password alone: the entry that tests an empty one is of another.
        var pdf = Encoding.Latin1.GetString(Made.PdfOf("/FlateDecode", Flate("")));
        var entry = $"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{new string('4', 64)}> /U <{new string('5', 64)}> >>";
        pdf = pdf.Replace("/Root 1 0 R", $"/Root 1 0 R /ID [<00><00>] /Encrypt {entry}", StringComparison.Ordinal);
        Made.Fails("is encrypted; give a copy that opens without a password", Encoding.Latin1.GetBytes(pdf), DocumentFormat.Pdf);
    }

    [Fact]
    public void StreamsAreMeasuredBeforeTheyAreUnpacked()
    {
        const string Shown = "BT /F 12 Tf 60 700 Td (Shown) Tj ET\n";
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/FlateDecode", Flate(Shown)), DocumentFormat.Pdf));
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/RunLengthDecode", [.. Runs(Shown)]), DocumentFormat.Pdf));
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/LZWDecode", Lzw(Shown)), DocumentFormat.Pdf));

        var limits = new DocumentLimits { PartBytes = 100_000 };
        var bomb = Shown + new string(' ', 200_000);
        Made.Fails("has a part that unpacks to more than 100,000 bytes", Made.PdfOf("/FlateDecode", Flate(bomb)), DocumentFormat.Pdf, limits);
        Made.Fails("has a part that unpacks to more than 100,000 bytes", Made.PdfOf("/RunLengthDecode", [.. Runs(bomb)]), DocumentFormat.Pdf, limits);
        Made.Fails("has a part that unpacks to more than 100,000 bytes", Made.PdfOf("/LZWDecode", Lzw(bomb)), DocumentFormat.Pdf, limits);
        const string Late = "/LZWDecode /DecodeParms << /EarlyChange 0 >>";
        Made.Fails("has a part that unpacks to more than 100,000 bytes", Made.PdfOf(Late, Lzw(bomb, isEarly: false)), DocumentFormat.Pdf, limits);
        // Measured to the byte.
        var exact = new DocumentLimits { PartBytes = bomb.Length };
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/FlateDecode", Flate(bomb)), DocumentFormat.Pdf, exact));
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/RunLengthDecode", [.. Runs(bomb)]), DocumentFormat.Pdf, exact));
        Assert.Equal("Shown", Made.Extract(Made.PdfOf("/LZWDecode", Lzw(bomb)), DocumentFormat.Pdf, exact));
        Assert.Equal("Shown", Made.Extract(Made.PdfOf(Late, Lzw(bomb, isEarly: false)), DocumentFormat.Pdf, exact));
        Made.Fails("has 1 pages, and 0 are taken", Made.PdfOf("/FlateDecode", Flate(Shown)), DocumentFormat.Pdf, new DocumentLimits { Parts = 0 });
    }

    private static byte[] Flate(string text)
    {
        using var bytes = new MemoryStream();
        using (var packed = new ZLibStream(bytes, CompressionLevel.Optimal)) packed.Write(Encoding.Latin1.GetBytes(text));
        return bytes.ToArray();
    }

    private static IEnumerable<byte> Runs(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            var run = text.AsSpan(at).IndexOfAnyExcept(text[at]) is >= 0 and var end ? end : text.Length - at;
            run = Math.Min(run, 128);
            yield return run == 1 ? (byte)0 : (byte)(257 - run);
            yield return (byte)text[at];
            at += run;
        }
        yield return 128;
    }

    private static byte[] Lzw(string text, bool isEarly = true)
    {
        Dictionary<string, int> table = [];
        List<byte> bytes = [];
        var (held, bits, width, word) = (0L, 0, 9, "");
        Clear();
        foreach (var c in text)
        {
            if (table.ContainsKey(word + c))
            {
                word += c;
                continue;
            }
            Write(table[word]);
            table[word + c] = table.Count + 2;
            if (table.Count + (isEarly ? 2 : 1) >= 1 << width) width++;
            if (table.Count + 2 >= 4094) Clear();
            word = $"{c}";
        }
        Write(table[word]);
        Write(257);
        if (bits > 0) bytes.Add((byte)(held << (8 - bits)));
        return [.. bytes];

        void Clear()
        {
            Write(256);
            table = Enumerable.Range(0, 256).ToDictionary(i => $"{(char)i}");
            width = 9;
        }

        void Write(int code)
        {
            (held, bits) = ((held << width) | (uint)code, bits + width);
            for (; bits >= 8; bits -= 8) bytes.Add((byte)(held >> (bits - 8)));
        }
    }
}
