using System.Net;
using System.Net.Sockets;
using LandmarkSharp.Training.Distributed;

namespace LandmarkSharp.Tests.Training.Distributed;

public sealed class HandOverTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task EachGetsTheBytesWhoeverComesFirst()
    {
        var cancel = TestContext.Current.CancellationToken;
        var port = FreePort();
        var bytes = Enumerable.Range(0, 128).Select(i => (byte)(i * 7)).ToArray();
        var takers = Enumerable.Range(1, 3).Select(rank => Task.Run(() => Taken(port, rank, 4, Patience), cancel)).ToList();
        await Task.Delay(200, cancel);      // they look for the first before it is there
        var giver = Task.Run(() => HandOver.Give(bytes, port, 4, Patience), cancel);
        Assert.All(await Task.WhenAll(takers), taken => Assert.Equal(bytes, taken));
        await giver;
    }

    [Fact]
    public async Task StrangersGetNothing()
    {
        var cancel = TestContext.Current.CancellationToken;
        var port = FreePort();
        var giver = Task.Run(() => HandOver.Give([1, 2, 3], port, 2, Patience), cancel);
        using (var stranger = await Stranger(port))
        {
            await stranger.GetStream().WriteAsync("GET / HTTP/1.1\r\n"u8.ToArray(), cancel);
            Assert.Equal(0, await stranger.GetStream().ReadAsync(new byte[8], cancel));
        }
        // Of a run of three.
        var e = Assert.Throws<LandmarkException>(() => Taken(port, 1, 3, TimeSpan.FromSeconds(0.3)));
        Assert.Contains("did not find the first process at 127.0.0.1", e.Message, StringComparison.Ordinal);
        Assert.Equal([1, 2, 3], Taken(port, 1, 2, Patience, length: 3));
        await giver;
    }

    [Fact]
    public void WhoDoesNotComeIsMissed()
    {
        var e = Assert.Throws<LandmarkException>(() => HandOver.Give([1], FreePort(), 2, TimeSpan.FromSeconds(0.2)));
        Assert.StartsWith("Only 1 of 2 processes came together", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void APortThatIsTakenIsNamed()
    {
        using var other = TcpListener.Create(0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        var e = Assert.Throws<LandmarkException>(() => HandOver.Give([1], port, 2, Patience));
        Assert.Contains($"The port {port}", e.Message, StringComparison.Ordinal);
    }

    private static byte[] Taken(int port, int rank, int size, TimeSpan patience, int length = 128)
    {
        var bytes = new byte[length];
        HandOver.Take(bytes, ("127.0.0.1", port), rank, size, patience);
        return bytes;
    }

    private static async Task<TcpClient> Stranger(int port)
    {
        while (true)
        {
            try
            {
                return new TcpClient("127.0.0.1", port);
            }
            catch (SocketException)
            {
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = TcpListener.Create(0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
