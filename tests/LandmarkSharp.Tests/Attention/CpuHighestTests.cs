using LandmarkSharp.Attention;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The highest of many numbers, against sorting them.</summary>
public sealed unsafe class CpuHighestTests
{
    [Fact]
    public void TheyAreThoseThatSortingPutsFirst()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var numbers = new float[random.Next(1, seed % 3 == 0 ? 6000 : 300)];          // few of many are chosen in another way
            for (var i = 0; i < numbers.Length; i++)
            {
                numbers[i] = (seed % 4) switch
                {
                    0 => (float)(random.NextDouble() - 0.5),
                    1 => random.Next(-3, 4),                                                // many equals
                    2 => MathF.Exp(random.Next(-80, 80)) * (random.Next(2) == 0 ? -1 : 1),
                    _ => random.Next(5) == 0 ? float.NegativeInfinity : random.Next(9) == 0 ? float.PositiveInfinity : random.Next(100),
                };
            }
            var places = new int[random.Next(1, (seed % 2 == 0 ? numbers.Length : Math.Min(numbers.Length, 70)) + 1)];
            fixed (float* from = numbers)
            fixed (int* to = places)
                CpuHighest.Places(from, numbers.Length, to, places.Length);
            var expected = Enumerable.Range(0, numbers.Length).OrderByDescending(i => numbers[i]).ThenBy(i => i).Take(places.Length).Order();
            Assert.Equal(expected, places);
        }
    }
}
