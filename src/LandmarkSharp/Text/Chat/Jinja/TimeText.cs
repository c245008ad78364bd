using System.Globalization;
using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>A time as C's <c>strftime</c> writes it, in English.</summary>
internal static class TimeText
{
    public static string Format(DateTime time, string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }
            var plain = ++i < format.Length && format[i] == '-';
            if (plain) i++;
            var field = i < format.Length ? format[i] : '\0';
            var written = Field(time, field);
            text.Append(plain && written.Length > 1 ? written.TrimStart('0') is { Length: > 0 } trimmed ? trimmed : "0" : written);
        }
        return text.ToString();
    }

    private static string Field(DateTime time, char field) => field switch
    {
        'Y' => Write(time, "yyyy"),
        'y' => Write(time, "yy"),
        'm' => Write(time, "MM"),
        'd' => Write(time, "dd"),
        'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'B' => Write(time, "MMMM"),
        'b' or 'h' => Write(time, "MMM"),
        'A' => Write(time, "dddd"),
        'a' => Write(time, "ddd"),
        'H' => Write(time, "HH"),
        'I' => Write(time, "hh"),
        'M' => Write(time, "mm"),
        'S' => Write(time, "ss"),
        'f' => Write(time, "ffffff"),
        'p' => Write(time, "tt"),
        'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
        'F' => Write(time, "yyyy-MM-dd"),
        'T' => Write(time, "HH:mm:ss"),
        'D' => Write(time, "MM/dd/yy"),
        'R' => Write(time, "HH:mm"),
        'u' => (time.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        // The time has no zone.
        'Z' or 'z' => "",
        _ => throw JinjaException.Unsupported($"'%{field}' of strftime_now"),
    };

    // A slash or colon in a format would be the culture's.
    private static string Write(DateTime time, string format) => time.ToString(format.Length == 1 ? $"%{format}" : format, CultureInfo.InvariantCulture);
}
