using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>Tiles that instructions and shared memory can take, for every shape and card.</summary>
public sealed class MmaShapeTests
{
    [Theory]
    [InlineData(8, 0)]
    [InlineData(8, 6)]
    [InlineData(9, 0)]
    [InlineData(12, 0)]
    public void EveryShapeHasTilesThatFit(int major, int minor)
    {
        var room = SharedMemory.Most(new Version(major, minor));
        for (var head = 16; head <= 256; head += 16)
        {
            for (var block = 2; block <= 256; block++)
            {
                var shape = new MmaShape(head, block, room);
                Assert.True(shape.Exists);
                foreach (var tiles in (MmaTiles[])[shape.Forward, shape.Backward])
                {
                    Assert.True(tiles.Bytes <= room, $"{shape}: {tiles}");
                    Assert.True(tiles.Columns % 8 == 0 && tiles.Columns * tiles.Blocks % 16 == 0, $"{shape}: {tiles}");
                    Assert.True(tiles.Blocks == 1 || tiles.Chunks == 1, $"{shape}: {tiles}");
                    // The landmark is in the last chunk.
                    Assert.True(tiles.Chunks * tiles.Columns >= block && (tiles.Chunks - 1) * tiles.Columns < block, $"{shape}: {tiles}");
                    Assert.Equal(0, MmaShape.RangeRows % tiles.Rows);
                }
                var keys = shape.Keys;
                Assert.True(keys.Bytes <= room, $"{shape}: {keys}");
                Assert.True(keys.QueryRows % (16 * keys.Split) == 0 && MmaShape.RangeRows % keys.QueryRows == 0, $"{shape}: {keys}");
            }
        }
        Assert.False(new MmaShape(24, 64, room).Exists || new MmaShape(272, 64, room).Exists || new MmaShape(64, 257, room).Exists);
    }

    [Theory]
    [InlineData(128, 64, 64, 1, 1)]
    [InlineData(128, 51, 56, 1, 2)]     // 102 of 112 columns rather than 51 of 64
    [InlineData(64, 16, 16, 1, 4)]
    [InlineData(128, 128, 128, 1, 1)]
    [InlineData(128, 256, 128, 2, 1)]
    [InlineData(16, 2, 8, 1, 4)]
    public void TilesWasteLittle(int head, int block, int columns, int chunks, int blocks)
    {
        var tiles = new MmaShape(head, block, 163 * 1024).Forward;
        Assert.Equal((columns, chunks, blocks), (tiles.Columns, tiles.Chunks, tiles.Blocks));
    }
}
