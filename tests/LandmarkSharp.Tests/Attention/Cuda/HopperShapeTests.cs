using System.Text.RegularExpressions;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>Tiles that instructions and shared memory can take, for every shape.</summary>
public sealed partial class HopperShapeTests
{
    [Fact]
    public void EveryShapeHasTilesThatFit()
    {
        var header = KernelSource.Headers.Single(h => h.Name == "wgmma.cuh").Text;
        var widths = Width().Matches(header).Select(m => int.Parse(m.Groups["width"].Value, null)).ToHashSet();
        for (var head = 16; head <= 256; head += 16)
        {
            for (var block = 2; block <= 256; block++)
            {
                var shape = new HopperShape(head, block);
                var columns = shape.TileBlocks * shape.Columns;
                Assert.True(shape.Columns >= block && columns % 16 == 0 && shape.Columns % 8 == 0, $"{shape}: {shape.Columns} columns");
                Assert.Contains(columns, widths);
                Assert.Contains(head, widths);
                // Wide heads and long blocks together are the reference's.
                Assert.True(shape.HasForward || (head > 128 && block > 96), $"{shape} has no forward kernel");
                if (shape.HasForward) Assert.InRange(shape.ForwardBytes, 1, 227 * 1024);
                Assert.Equal(head <= 128 && block <= 128, shape.HasBackward);
                if (!shape.HasBackward) continue;
                Assert.InRange(shape.BackwardBytes, 1, 227 * 1024);
                Assert.Contains(block > 64 ? 64 : shape.SpanBlocks * shape.BackwardColumns, widths);
                Assert.InRange(shape.BackwardColumns, block, 128);
            }
        }
    }

    [Theory]
    [InlineData(128, 64, 64, 2)]
    [InlineData(128, 128, 128, 1)]
    [InlineData(128, 51, 56, 2)]    // 102 of 112 columns rather than 51 of 64
    [InlineData(64, 16, 16, 8)]
    [InlineData(256, 64, 64, 1)]
    public void TilesWasteLittle(int head, int block, int columns, int blocks)
    {
        var shape = new HopperShape(head, block);
        Assert.Equal((columns, blocks), (shape.Columns, shape.TileBlocks));
    }

    [GeneratedRegex(@"^WGMMA_TYPES\((?<width>\d+),", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Width();
}
