namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>
/// Cuts a template into tokens, with white space around tags treated as for chat templates everywhere: the newline after
/// a block or comment is dropped (<c>trim_blocks</c>), so is the indentation before it (<c>lstrip_blocks</c>), a dash
/// inside a tag drops all white space on its side, and the newline that ends the template does not count.
/// </summary>
internal sealed class Lexer
{
    // The longest first.
    private static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", .. "+-/*%[](){}><=.:|,;~".Select(c => c.ToString())];

    private readonly string source;
    private readonly List<Token> tokens = [];
    private int at;
    private int line = 1;
    private int counted;

    private Lexer(string template)
    {
        var text = template.Replace("\r\n", "\n").Replace('\r', '\n');
        source = text.EndsWith('\n') ? text[..^1] : text;
    }

    public static IReadOnlyList<Token> Read(string template)
    {
        var lexer = new Lexer(template);
        while (lexer.at < lexer.source.Length) lexer.TextAndTag();
        lexer.Add(TokenKind.End, "", lexer.source.Length);
        return lexer.tokens;
    }

    private void TextAndTag()
    {
        var tag = at;
        while ((tag = source.IndexOf('{', tag)) >= 0 && !(tag + 1 < source.Length && source[tag + 1] is '{' or '%' or '#')) tag++;
        if (tag < 0)
        {
            AddData(source.Length, at);
            at = source.Length;
            return;
        }

        var (start, kind) = (at, source[tag + 1]);
        AddData(TextEnd(tag, strips: kind != '{'), start);
        at = tag + (Sign(tag + 2) == '\0' ? 2 : 3);
        switch (kind)
        {
            case '#':
                Comment(tag);
                break;
            case '%' when RawBegins():
                Raw(tag);
                break;
            default:
                Code(tag, kind == '%');
                break;
        }
    }

    /// <summary>Where the text before a tag ends, once white space that does not count is left out.</summary>
    private int TextEnd(int tag, bool strips)
    {
        var end = tag;
        var sign = Sign(tag + 2);
        while (end > at && PythonSpace.Is(source[end - 1]) && (sign == '-' || source[end - 1] != '\n')) end--;
        if (sign == '-') return end;
        // Indentation counts as such only where a line starts.
        var atLineStart = end > at ? source[end - 1] == '\n' : at == 0 || source[at - 1] == '\n';
        return strips && sign != '+' && atLineStart ? end : tag;
    }

    private char Sign(int place) => place < source.Length && source[place] is '-' or '+' ? source[place] : '\0';

    private void Comment(int tag)
    {
        var end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0) throw JinjaException.Syntax("a comment has no end", LineOf(tag));
        var sign = end > at ? source[end - 1] : '\0';
        at = end + 2;
        AfterBlock(sign);
    }

    private bool RawBegins()
    {
        var place = SkipSpace(at);
        if (string.CompareOrdinal(source, place, "raw", 0, 3) != 0) return false;
        place = SkipSpace(place + 3);
        var dash = place < source.Length && source[place] == '-';
        if (string.CompareOrdinal(source, dash ? place + 1 : place, "%}", 0, 2) != 0) return false;
        at = dash ? SkipSpace(place + 3) : place + 2;
        return true;
    }

    private void Raw(int tag)
    {
        var begin = LineOf(tag);
        var start = at;
        for (var end = at; (end = source.IndexOf("{%", end, StringComparison.Ordinal)) >= 0; end += 2)
        {
            var place = SkipSpace(end + (Sign(end + 2) == '\0' ? 2 : 3));
            if (string.CompareOrdinal(source, place, "endraw", 0, 6) != 0) continue;
            place = SkipSpace(place + 6);
            var sign = Sign(place);
            if (sign != '\0') place++;
            if (string.CompareOrdinal(source, place, "%}", 0, 2) != 0) continue;
            AddData(TextEnd(end, strips: true), start);
            at = place + 2;
            AfterBlock(sign);
            return;
        }
        throw JinjaException.Syntax("a raw block has no end", begin);
    }

    /// <summary>Drops the white space after a block or comment that ends with this sign.</summary>
    private void AfterBlock(char sign)
    {
        if (sign == '-') at = SkipSpace(at);
        else if (sign != '+' && at < source.Length && source[at] == '\n') at++;
    }

    private void Code(int tag, bool block)
    {
        Add(block ? TokenKind.BlockBegin : TokenKind.OutputBegin, block ? "{%" : "{{", tag);
        var open = new Stack<char>();
        while (true)
        {
            at = SkipSpace(at);
            if (at >= source.Length) throw JinjaException.Syntax($"'{(block ? "{%" : "{{")}' has no end", LineOf(tag));
            if (open.Count == 0 && EndsCode(block)) return;
            CodeToken(open);
        }
    }

    private bool EndsCode(bool block)
    {
        var sign = Sign(at) is '+' && !block ? '\0' : Sign(at);
        var place = sign == '\0' ? at : at + 1;
        if (string.CompareOrdinal(source, place, block ? "%}" : "}}", 0, 2) != 0) return false;
        Add(block ? TokenKind.BlockEnd : TokenKind.OutputEnd, block ? "%}" : "}}", at);
        at = place + 2;
        if (block) AfterBlock(sign);
        else if (sign == '-') at = SkipSpace(at);
        return true;
    }

    private void CodeToken(Stack<char> open)
    {
        var (start, first) = (at, source[at]);
        if (Literals.NumberLength(source, at) is > 0 and var length)
        {
            at += length;
            var number = source[start..at].Replace("_", "");
            Add(Literals.IsFloat(number) ? TokenKind.Float : TokenKind.Integer, number, start);
        }
        else if (char.IsLetter(first) || first == '_')
        {
            while (at < source.Length && (char.IsLetterOrDigit(source[at]) || source[at] == '_')) at++;
            Add(TokenKind.Name, source[start..at], start);
        }
        else if (first is '\'' or '"')
        {
            for (at++; at < source.Length && source[at] != first; at++)
                if (source[at] == '\\') at++;
            if (at >= source.Length) throw JinjaException.Syntax("a string has no end", LineOf(start));
            at++;
            Add(TokenKind.Text, Literals.Unescape(source[(start + 1)..(at - 1)], LineOf(start)), start);
        }
        else
        {
            var found = Array.Find(Operators, o => string.CompareOrdinal(source, start, o, 0, o.Length) == 0)
                ?? throw JinjaException.Syntax($"'{first}' means nothing here", LineOf(start));
            Balance(found, open);
            at += found.Length;
            Add(TokenKind.Operator, found, start);
        }
    }

    private void Balance(string found, Stack<char> open)
    {
        if (found is "(" or "[" or "{") open.Push(found == "(" ? ')' : found == "[" ? ']' : '}');
        else if (found is ")" or "]" or "}" && (open.Count == 0 || open.Pop() != found[0]))
            throw JinjaException.Syntax($"'{found}' closes nothing", LineOf(at));
    }

    private int SkipSpace(int place)
    {
        while (place < source.Length && PythonSpace.Is(source[place])) place++;
        return place;
    }

    private void AddData(int end, int start)
    {
        if (end > start) tokens.Add(new Token(TokenKind.Data, source[start..end], LineOf(start)));
    }

    private void Add(TokenKind kind, string text, int start) => tokens.Add(new Token(kind, text, LineOf(start)));

    // Places come nearly in order, so that lines are counted once.
    private int LineOf(int place)
    {
        if (place < counted) return line - source.AsSpan(place, counted - place).Count('\n');
        line += source.AsSpan(counted, place - counted).Count('\n');
        counted = place;
        return line;
    }
}
