using System.Text;
using UglyToad.PdfPig;
using UglyToad.PdfPig.Content;
using UglyToad.PdfPig.DocumentLayoutAnalysis.PageSegmenter;
using UglyToad.PdfPig.DocumentLayoutAnalysis.ReadingOrderDetector;
using UglyToad.PdfPig.DocumentLayoutAnalysis.WordExtractor;
using UglyToad.PdfPig.Exceptions;

namespace LandmarkSharp.Text.Documents;

/// <summary>The text of a PDF: words from where letters stand, paragraphs and columns from where words stand.</summary>
internal static class PdfText
{
    private static readonly NearestNeighbourWordExtractor Words = new(new() { MaxDegreeOfParallelism = 1 });
    private static readonly DocstrumBoundingBoxes Blocks = new(new() { MaxDegreeOfParallelism = 1 });

    public static string Extract(byte[] bytes, DocumentBudget budget)
    {
        var reading = "it";
        try
        {
            using var document = PdfDocument.Open(
                bytes, new ParsingOptions { UseLenientParsing = true, SkipMissingFonts = true, FilterProvider = new PdfFilters(budget) });
            budget.Look();
            budget.Parts(document.NumberOfPages, "pages");
            var text = new StringBuilder();
            for (var page = 1; page <= document.NumberOfPages; page++)
            {
                reading = $"page {page}";
                Append(text, document.GetPage(page));
                budget.Look();
                budget.Characters(text.Length);
            }
            return text.Length > 0
                ? text.ToString()
                : throw new LandmarkException($"'{budget.Name}' holds no text but pictures of pages; run text recognition (OCR) over it first.");
        }
        catch (PdfDocumentEncryptedException e)
        {
            throw new LandmarkException($"'{budget.Name}' is encrypted; give a copy that opens without a password.", e);
        }
        catch (Exception e) when (e is not (LandmarkException or OperationCanceledException))
        {
            // Whatever a parser makes of hostile bytes.
            throw budget.Ended
                ?? new LandmarkException($"'{budget.Name}' is no PDF, or damaged: {reading} cannot be read; give a whole copy.", e);
        }
    }

    private static void Append(StringBuilder text, Page page)
    {
        Word[] words = [.. Words.GetWords(page.Letters)];
        if (words.Length == 0) return;
        foreach (var block in UnsupervisedReadingOrderDetector.Instance.Get(Blocks.GetBlocks(words)))
        {
            var isFirst = true;
            foreach (var line in block.TextLines)
            {
                var letters = Plain(line.Text);
                if (letters.Length == 0) continue;
                if (!isFirst && IsHyphenated(text, letters)) text.Length--;
                else if (text.Length > 0) text.Append(isFirst ? "\n\n" : "\n");
                text.Append(letters);
                isFirst = false;
            }
        }
    }

    /// <summary>Whether a word goes on from the line before.</summary>
    private static bool IsHyphenated(StringBuilder text, string line) =>
        text.Length > 1 && text[^1] is '-' or '\u2010' && char.IsLetter(text[^2]) && char.IsLower(line[0]);

    /// <summary>Ligatures, which are letters of fonts and not of words, as the letters that they join.</summary>
    private static string Plain(string line)
    {
        var letters = new StringBuilder(line.Length);
        foreach (var c in line)
            _ = c switch
            {
                '\uFB00' => letters.Append("ff"),
                '\uFB01' => letters.Append("fi"),
                '\uFB02' => letters.Append("fl"),
                '\uFB03' => letters.Append("ffi"),
                '\uFB04' => letters.Append("ffl"),
                '\uFB05' or '\uFB06' => letters.Append("st"),
                '\u00A0' => letters.Append(' '),
                '\0' or '\u00AD' or '\u200B' or '\uFEFF' => letters,
                _ => letters.Append(c),
            };
        return letters.ToString().Trim();
    }
}
