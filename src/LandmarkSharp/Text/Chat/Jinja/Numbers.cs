using System.Globalization;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Numbers, as Python computes and prints them; whole ones have 64 bits here, and what exceeds them is refused.</summary>
internal static class Numbers
{
    /// <summary>Whether it is a whole number; true and false are 1 and 0.</summary>
    public static bool IsInteger(object? value, out long number)
    {
        number = value switch { long l => l, true => 1, _ => 0 };
        return value is long or bool;
    }

    public static bool IsNumber(object? value, out double number)
    {
        number = value is double d ? d : IsInteger(value, out var integer) ? integer : 0;
        return value is double or long or bool;
    }

    public static object Signed(object? value, int sign) => value switch
    {
        double number => sign * number,
        _ when IsInteger(value, out var number) => Whole(() => checked(sign * number)),
        Undefined undefined => throw JinjaException.Failed(undefined.Reason),
        _ => throw JinjaException.Failed($"{Python.TypeName(value)} has no sign"),
    };

    public static object? Compute(string name, object? left, object? right)
    {
        if (IsInteger(left, out var a) && IsInteger(right, out var b))
        {
            switch (name)
            {
                case "+": return Whole(() => checked(a + b));
                case "-": return Whole(() => checked(a - b));
                case "*": return Whole(() => checked(a * b));
                case "//": return Whole(() => checked((a / NotZero(b)) - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0)));
                case "%": return b == -1 ? 0L : a % NotZero(b) is var rest && rest != 0 && (rest < 0) != (b < 0) ? rest + b : a % b;
                case "**" when b >= 0: return Whole(() => Power(a, b));
            }
        }
        if (!IsNumber(left, out var x) || !IsNumber(right, out var y)) return null;
        return name switch
        {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "/" => x / NotZero(y),
            "//" => FloorDivide(x, NotZero(y)),
            "%" => Modulo(x, NotZero(y)),
            _ => Power(x, y),
        };
    }

    /// <summary>The shortest decimal that reads back as the same number, spelled as Python spells it.</summary>
    public static string Text(double number)
    {
        if (double.IsNaN(number)) return "nan";
        if (double.IsInfinity(number)) return number > 0 ? "inf" : "-inf";
        if (number == 0) return double.IsNegative(number) ? "-0.0" : "0.0";
        // Either 123.4 or 1.234E+56: the digits, and the power of ten of the first that counts.
        var parts = Math.Abs(number).ToString("R", CultureInfo.InvariantCulture).Split('E');
        var all = parts[0].Replace(".", "");
        var point = parts[0].IndexOf('.') is >= 0 and var place ? place : all.Length;
        var zeros = all.Length - all.TrimStart('0').Length;
        var power = parts.Length > 1 ? int.Parse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : 0;
        var exponent = point - 1 - zeros + power;
        var digits = all.Trim('0');
        var sign = number < 0 ? "-" : "";
        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." : "")}{digits[1..]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        var (before, after) = (digits.PadRight(exponent + 2, '0')[..(exponent + 1)], digits.PadRight(exponent + 2, '0')[(exponent + 1)..]);
        return $"{sign}{before}.{after}";
    }

    /// <summary>The number that a text spells, or null: digits, a sign, single underscores between digits, white space around.</summary>
    public static object? Parse(string text, bool whole)
    {
        var trimmed = text.Trim();
        if (trimmed.StartsWith('_') || trimmed.EndsWith('_') || trimmed.Contains("__")) return null;
        var plain = trimmed.Replace("_", "");
        if (whole) return plain.Length < 19 && long.TryParse(plain, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;
        return plain.All(c => char.IsAsciiDigit(c) || c is '+' or '-' or '.' or 'e' or 'E')
            && double.TryParse(plain, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) ? real : null;
    }

    private static object Whole(Func<long> compute)
    {
        try
        {
            return compute();
        }
        catch (OverflowException)
        {
            throw JinjaException.Unsupported("a whole number of more than 64 bits");
        }
    }

    private static long Power(long number, long exponent)
    {
        if (number is 0 or 1) return exponent == 0 ? 1 : number;
        if (number == -1) return exponent % 2 == 0 ? 1 : -1;
        var power = 1L;
        for (; exponent > 0; exponent--) power = checked(power * number);
        return power;
    }

    private static object Power(double number, double exponent)
    {
        if (number == 0 && exponent < 0) NotZero(0L);
        var power = Math.Pow(number, exponent);
        if (double.IsNaN(power) && !double.IsNaN(number) && !double.IsNaN(exponent)) throw JinjaException.Unsupported("a complex number");
        return power;
    }

    private static double Modulo(double x, double y)
    {
        var rest = x % y;
        return rest == 0 ? Math.CopySign(0, y) : (rest < 0) != (y < 0) ? rest + y : rest;
    }

    private static double FloorDivide(double x, double y)
    {
        var rest = x % y;
        var quotient = (x - rest) / y;
        if (rest != 0 && (rest < 0) != (y < 0)) quotient--;
        if (quotient == 0) return Math.CopySign(0, x / y);
        var floor = Math.Floor(quotient);
        return quotient - floor > 0.5 ? floor + 1 : floor;
    }

    private static long NotZero(long number) => number != 0 ? number : throw JinjaException.Failed("a number is divided by 0");

    private static double NotZero(double number) => number != 0 ? number : NotZero(0L);
}
