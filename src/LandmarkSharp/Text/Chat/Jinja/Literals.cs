using System.Globalization;
using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>How numbers and strings are spelled in a template: as in Python.</summary>
internal static class Literals
{
    /// <summary>The length of the number that starts here, or 0.</summary>
    public static int NumberLength(string source, int start)
    {
        if (!char.IsAsciiDigit(source[start])) return 0;
        if (source[start] == '0' && start + 1 < source.Length && char.ToLowerInvariant(source[start + 1]) is 'x' or 'o' or 'b')
            throw JinjaException.Unsupported($"the number '{source[start..(start + 2)]}…'");
        var end = Digits(source, start);
        if (end + 1 < source.Length && source[end] == '.' && char.IsAsciiDigit(source[end + 1])) end = Digits(source, end + 1);
        if (end < source.Length && source[end] is 'e' or 'E')
        {
            var exponent = end + 1 < source.Length && source[end + 1] is '+' or '-' ? end + 2 : end + 1;
            if (exponent < source.Length && char.IsAsciiDigit(source[exponent])) end = Digits(source, exponent);
        }
        return end - start;
    }

    public static bool IsFloat(string number) => number.AsSpan().ContainsAny(".eE");

    /// <summary>What the inside of a string literal means, escapes resolved.</summary>
    public static string Unescape(string raw, int line)
    {
        if (!raw.Contains('\\')) return raw;
        var text = new StringBuilder(raw.Length);
        for (var i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\')
            {
                text.Append(raw[i]);
                continue;
            }
            var escape = raw[++i];
            switch (escape)
            {
                case 'x' or 'u' or 'U':
                    var digits = escape == 'x' ? 2 : escape == 'u' ? 4 : 8;
                    if (i + digits >= raw.Length || !uint.TryParse(raw.AsSpan(i + 1, digits), NumberStyles.AllowHexSpecifier, null, out var code)
                        || code > 0x10FFFF)
                        throw JinjaException.Syntax($"a string has '\\{escape}' without its {digits} hexadecimal digits", line);
                    text.Append(code > char.MaxValue ? char.ConvertFromUtf32((int)code) : ((char)code).ToString());
                    i += digits;
                    break;
                case >= '0' and <= '7':
                    var octal = 0;
                    for (var n = 0; n < 3 && i < raw.Length && raw[i] is >= '0' and <= '7'; n++, i++) octal = (octal * 8) + raw[i] - '0';
                    text.Append((char)octal);
                    i--;
                    break;
                case 'N':
                    throw JinjaException.Unsupported("a character by its name, '\\N',", line);
                default:
                    text.Append(Simple(escape));
                    break;
            }
        }
        return text.ToString();
    }

    private static string Simple(char escape) => escape switch
    {
        'n' => "\n",
        't' => "\t",
        'r' => "\r",
        'a' => "\a",
        'b' => "\b",
        'f' => "\f",
        'v' => "\v",
        '\n' => "",
        '\\' or '\'' or '"' => escape.ToString(),
        // As in Python, a backslash before anything else stands for itself.
        _ => $"\\{escape}",
    };

    private static int Digits(string source, int from)
    {
        while (from < source.Length && (char.IsAsciiDigit(source[from])
            || (source[from] == '_' && from + 1 < source.Length && char.IsAsciiDigit(source[from + 1])))) from++;
        return from;
    }
}
