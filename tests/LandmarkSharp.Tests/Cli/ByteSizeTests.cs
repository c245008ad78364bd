using System.CommandLine;
using LandmarkSharp.Cli;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Numbers of bytes in the words of people.</summary>
public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("67108864", 67108864)]
    [InlineData("64MiB", 67108864)]
    [InlineData("64 mib", 67108864)]
    [InlineData("1.5GB", 1_500_000_000)]
    [InlineData("2K", 2000)]
    [InlineData("10B", 10)]
    [InlineData("8TiB", 8796093022208)]
    public void AreRead(string text, long bytes) => Assert.Equal(bytes, ByteSize.Parse(text, new Option<string>("--hot")));

    [Theory]
    [InlineData(9_999, "9,999 bytes")]
    [InlineData(1_234_567, "1,235 KB")]
    [InlineData(123_456_789, "123 MB")]
    [InlineData(12_345_678_901, "12.3 GB")]
    public void AreShown(long bytes, string text) => Assert.Equal(text, ByteSize.Text(bytes));
}
