using System.Text;
using LandmarkSharp.Text;

namespace LandmarkSharp.Server.Api;

/// <summary>Tokens by themselves, as the protocol shows them.</summary>
internal static class TokenText
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>A token's text; where its bytes are no whole characters, <c>bytes:\x..</c> for each.</summary>
    public static string Of(Tokenizer tokenizer, int id)
    {
        var bytes = tokenizer.Bytes(id);
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            var text = new StringBuilder("bytes:");
            foreach (var b in bytes) text.Append($"\\x{b:x2}");
            return text.ToString();
        }
    }

    /// <summary>A token's bytes as numbers.</summary>
    public static int[] Numbers(Tokenizer tokenizer, int id)
    {
        var bytes = tokenizer.Bytes(id);
        var numbers = new int[bytes.Length];
        for (var i = 0; i < numbers.Length; i++) numbers[i] = bytes[i];
        return numbers;
    }
}
