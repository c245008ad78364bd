using System.Text.RegularExpressions;

namespace LandmarkSharp.Text;

/// <summary>
/// Compiles a split pattern that was written for Oniguruma. What .NET would read in another way, or what looks back
/// over a place where a text may have been cut, is refused.
/// </summary>
internal static class HuggingFacePattern
{
    private const string SameEscapes = "sSdDpPrntfv";

    /// <summary>Compiles a pattern.</summary>
    /// <exception cref="NotSupportedException">The pattern means something else to .NET.</exception>
    /// <exception cref="ArgumentException">The pattern is none to .NET.</exception>
    public static Regex Compile(string pattern)
    {
        Check(pattern);
        return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Compiled);
    }

    private static void Check(string pattern)
    {
        var inClass = false;
        for (var i = 0; i < pattern.Length; i++)
        {
            var rest = pattern.AsSpan(i);
            switch (pattern[i])
            {
                case '\\' when i + 1 < pattern.Length:
                    if (char.IsAsciiLetterOrDigit(pattern[i + 1]) && !SameEscapes.Contains(pattern[i + 1], StringComparison.Ordinal))
                        throw new NotSupportedException($"\\{pattern[i + 1]}");
                    i++;
                    break;
                case '[' when inClass:
                    throw new NotSupportedException("a class within a class");
                case '[':
                    inClass = true;
                    break;
                case ']':
                    inClass = false;
                    break;
                case '&' when inClass && rest.StartsWith("&&", StringComparison.Ordinal):
                    throw new NotSupportedException("&& in a class");
                case '^' when !inClass:
                case '$' when !inClass:
                    throw new NotSupportedException($"the anchor {pattern[i]}");
                case '(' when !inClass && rest.StartsWith("(?<", StringComparison.Ordinal):
                    throw new NotSupportedException("(?<");
                case >= '\uD800' and <= '\uDFFF':
                    throw new NotSupportedException("a character outside the basic plane");
                default:
                    break;
            }
        }
    }
}
