using System.Text;
using LandmarkSharp.Text.Documents;

namespace LandmarkSharp.Tests.Text.Documents;

public sealed class HtmlTextTests
{
    [Theory]
    [InlineData("<h1>Ships</h1><p>One\n  two&nbsp;three&#x2014;<b>fo</b>ur.<p>Five", "Ships\n\nOne two three—four.\n\nFive")]
    [InlineData("<title>A &amp; B</title><body>a<br>b<hr>c", "A & B\n\na\nb\n\nc")]
    [InlineData("<ul><li>one<li>two<ol start=3><li>x</li><li></li><li>y</li></ol></li></ul>z", "- one\n- two\n\n  3. x\n  5. y\n\nz")]
    [InlineData("<ul><li></li></ul><p>after", "after")]
    [InlineData("<table><tr><th>Name<th>Age</tr><tr><td>Ada</td><td> 36 </td></tr></table>end", "Name | Age\nAda | 36\n\nend")]
    [InlineData("<pre>if a:\n    b\n\n\nc</pre>d  e", "if a:\n    b\n\nc\n\nd e")]
    [InlineData("co\u00ADoper\u200Bate", "cooperate")]
    [InlineData("a <!-- <b>no</b> --> b <![CDATA[no]]> c", "a b c")]
    [InlineData("<!doctype html><html><p>a < b && c > d</html>", "a < b && c > d")]
    public void MarkupBecomesLayout(string html, string text) => Assert.Equal(text, Of(html));

    [Theory]
    [InlineData("<script>if (a < b) document.write('<p>no</p>')</script>yes")]
    [InlineData("<style>p { color: red } </style><script>'</scripty>'</script >yes")]
    [InlineData("<nav><ul><li>Home<nav>deep</nav></ul>more</nav>yes")]
    [InlineData("<div role=navigation><div>Home</div>About</div>yes")]
    [InlineData("<div hidden>no<div>no</div>no</div>yes<span aria-hidden=true>no</span>")]
    [InlineData("<noscript>Enable scripts!</noscript><svg><title>no</title><text>no</text></svg>yes")]
    [InlineData("<template><p>no</template><textarea></p>no</textarea><select><option>no</select>yes<button>no</button>")]
    [InlineData("<iframe src='http://192.0.2.1/'><p>no</p></iframe><img src='http://192.0.2.1/x.png' alt=no>yes")]
    public void WhatIsNoTextIsLeftOut(string html) => Assert.Equal("yes", Of(html));

    [Fact]
    public void XhtmlMayCloseWhatItOpens()
    {
        Assert.Equal("a\n\nb\nc", Of("<?xml version='1.0'?><html><head><title/><script src='x'/></head><body><p>a</p><p/><div/>b<br/>c<nav/></body></html>"));
        Assert.Equal("", Of("<script/>a"));         // in HTML it is open, to the end
    }

    [Theory]
    [InlineData("<meta charset=windows-1252><p>Besançon – ça", "windows-1252")]
    [InlineData("<meta http-equiv=Content-Type content='text/html; charset=ISO-8859-1'><p>Besançon – ça", "windows-1252")]
    [InlineData("<?xml version='1.0' encoding='Shift_JIS'?><p>漢字", "shift_jis")]
    [InlineData("<p>Besançon – ça", "windows-1252")]
    [InlineData("<p>Besançon – 漢字 ça", "utf-8")]
    [InlineData("\uFEFF<p>Besançon – 漢字 ça", "utf-16")]
    public void ItsEncodingIsFound(string html, string encoding)
    {
        var bytes = (CodePagesEncodingProvider.Instance.GetEncoding(encoding) ?? Encoding.GetEncoding(encoding)).GetBytes(html);
        Assert.Equal(html[(html.IndexOf("<p>", StringComparison.Ordinal) + 3)..], Made.Extract(bytes, DocumentFormat.Html));
    }

    [Fact]
    public void AnUnknownEncodingIsNamed() =>
        Made.Fails("declares the encoding 'klingon', which is not known", "<meta charset=klingon>a"u8.ToArray(), DocumentFormat.Html);

    [Fact]
    public void PagesWithoutTextAreRefused() => Made.Fails("holds no text", "<script>app()</script><div id=app></div>"u8.ToArray(), DocumentFormat.Html);

    // Each would be gigabytes as a tree, or take a time that grows with its square.
    [Theory]
    [InlineData("<b id={0}>", "<p>x")]
    [InlineData("<ul><li>", "x")]
    [InlineData("<div hidden>", "x</div>")]
    [InlineData("<table><tr><td>", "x")]
    [InlineData("<p a{0}={0}", ">x")]
    [InlineData("<a {0}", " {0}=\"{0}\"")]
    [InlineData("&#{0};&am", "<")]
    [InlineData("<![CDATA[", "]]>")]
    [InlineData("</p>", "</ul>")]
    public void HostilePagesTakeTimeAsTheirLength(string often, string thenOften)
    {
        const int Times = 100_000;
        var html = new StringBuilder();
        foreach (var part in (string[])[often, thenOften])
            for (var i = 0; i < Times; i++) html.Append(part.Replace("{0}", $"{i}", StringComparison.Ordinal));
        var limits = new DocumentLimits { Time = TimeSpan.FromSeconds(60) };
        using var bytes = new MemoryStream(Encoding.UTF8.GetBytes($"x<p>{html}"));
        Assert.StartsWith("x", DocumentText.Extract(bytes, DocumentFormat.Html, "hostile", limits), StringComparison.Ordinal);
    }

    private static string Of(string html) => HtmlText.Extract(html, new DocumentBudget("page", new DocumentLimits(), CancellationToken.None));
}
