using AngleSharp.Html;
using AngleSharp.Html.Parser;
using AngleSharp.Html.Parser.Tokens;
using AngleSharp.Text;

namespace LandmarkSharp.Text.Documents;

/// <summary>
/// The text of HTML, taken from its tags as they pass. No tree is built: one of a hostile page can be a thousand times its size.
/// </summary>
internal sealed class HtmlText
{
    private const int LookEvery = 4096, DeepestIndent = 8;

    private static readonly HashSet<string> Skipped =
    [
        "audio", "button", "canvas", "datalist", "iframe", "nav", "noembed", "noframes", "noscript", "object", "script", "select", "style",
        "svg", "template", "textarea", "video",
    ];

    private static readonly HashSet<string> Paragraphs =
    [
        "address", "article", "aside", "blockquote", "body", "caption", "center", "details", "dialog", "div", "dl", "fieldset", "figcaption",
        "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "main", "menu", "ol", "p", "pre",
        "section", "summary", "table", "title", "ul",
    ];

    private static readonly HashSet<string> Lines = ["br", "dd", "dt", "tr"];

    /// <summary>Elements whose end tag must not be left out, so that it is known where they end when they are hidden.</summary>
    private static readonly HashSet<string> Hideable =
    [
        "a", "article", "aside", "blockquote", "details", "dialog", "div", "dl", "figure", "footer", "header", "main", "ol", "pre", "section",
        "span", "table", "ul",
    ];

    private readonly TextLayout layout;
    private readonly bool isXml, hasTitle;
    private readonly Stack<int?> lists = [];            // the number of the next item; null in lists without
    private string? skipping;
    private int depth;                                  // of elements of that name, within the one that is skipped
    private int preformatted;
    private bool hasBegun;                              // before which XHTML has a document type, whose definitions are no text

    private HtmlText(TextLayout layout, bool isXml, bool hasTitle) => (this.layout, this.isXml, this.hasTitle) = (layout, isXml, hasTitle);

    /// <summary>The text of a page.</summary>
    public static string Extract(string html, DocumentBudget budget)
    {
        var layout = new TextLayout();
        Append(layout, html, budget, hasTitle: true);
        return layout.ToString();
    }

    /// <summary>Appends the text of a page.</summary>
    /// <param name="layout">Where to.</param>
    /// <param name="html">The page, HTML or XHTML.</param>
    /// <param name="budget">What it may take.</param>
    /// <param name="hasTitle">Whether its title is part of the text.</param>
    public static void Append(TextLayout layout, string html, DocumentBudget budget, bool hasTitle)
    {
        var page = new HtmlText(layout, html.AsSpan().TrimStart("\uFEFF \r\n\t").StartsWith("<?xml"), hasTitle);
        using var source = new TextSource(html);
        using var tokens = new HtmlTokenizer(source, HtmlEntityProvider.Resolver)
        {
            SkipComments = true,
            IsAcceptingCharacterData = page.isXml,
            ShouldEmitAttribute = static (ref _, name) => name.Span is "hidden" or "aria-hidden" or "role" or "start",
        };
        for (long n = 1; tokens.Get() is { Type: not HtmlTokenType.EndOfFile } token; n++)
        {
            page.Read(token, tokens);
            if (n % LookEvery != 0) continue;
            budget.Look();
            budget.Characters(layout.Length);
        }
        layout.Paragraph();
    }

    private void Read(HtmlToken token, HtmlTokenizer tokens)
    {
        switch (token.Type)
        {
            case HtmlTokenType.StartTag:
                var tag = token.AsTag();
                hasBegun = true;
                var isEmpty = isXml && tag.IsSelfClosing;
                if (!isEmpty) tokens.State = Content(tag.Name);
                if (skipping is null) Start(tag, isEmpty);
                else if (tag.Name == skipping && !isEmpty) depth++;
                break;
            case HtmlTokenType.EndTag:
                if (skipping is null) End(token.Name);
                else if (token.Name == skipping && depth-- == 0) skipping = null;
                break;
            case HtmlTokenType.Character when skipping is null && (hasBegun || !isXml):
                if (preformatted > 0) layout.AppendLines(token.Data);
                else layout.Append(token.Data);
                break;
        }
    }

    /// <summary>How what is in an element is read (HTML standard, 13.2.6.4): markup, or up to its end tag as characters.</summary>
    private static HtmlParseMode Content(string name) => name switch
    {
        "script" => HtmlParseMode.Script,
        "style" or "xmp" or "iframe" or "noembed" or "noframes" => HtmlParseMode.Rawtext,
        "title" or "textarea" => HtmlParseMode.RCData,
        "plaintext" => HtmlParseMode.Plaintext,
        _ => HtmlParseMode.PCData,
    };

    private void Start(HtmlTagToken tag, bool isEmpty)
    {
        var name = tag.Name;
        if (Skipped.Contains(name) || (name == "title" && !hasTitle) || (Hideable.Contains(name) && IsHidden(tag)))
        {
            if (isEmpty) return;
            (skipping, depth) = (name, 0);
            return;
        }
        if (Paragraphs.Contains(name)) layout.Paragraph();
        else if (Lines.Contains(name)) layout.Line();
        if (isEmpty) return;
        switch (name)
        {
            case "ul" or "menu": lists.Push(null); break;
            case "ol": lists.Push(int.TryParse(tag.GetAttribute("start"), out var start) ? start : 1); break;
            case "li": layout.Item(Mark()); break;
            case "td" or "th": layout.Cell(); break;
            case "pre": preformatted++; break;
        }
    }

    private void End(string name)
    {
        if (Paragraphs.Contains(name)) layout.Paragraph();
        switch (name)
        {
            case "ul" or "ol" or "menu": lists.TryPop(out _); break;
            case "li": layout.EndItem(); break;
            case "pre": preformatted = Math.Max(0, preformatted - 1); break;
        }
    }

    private string Mark()
    {
        var indent = new string(' ', 2 * Math.Clamp(lists.Count - 1, 0, DeepestIndent));
        if (!lists.TryPop(out var number)) return "- ";
        lists.Push(number + 1);
        return number is null ? $"{indent}- " : $"{indent}{number}. ";
    }

    private static bool IsHidden(HtmlTagToken tag) =>
        tag.Attributes.Any(a => a.Name == "hidden") || tag.GetAttribute("aria-hidden") == "true" || tag.GetAttribute("role") == "navigation";
}
