using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// Hands a few bytes from the first process to the others over TCP, once: what NCCL needs before processes can find each other.
/// </summary>
internal static class HandOver
{
    private const int GreetingBytes = 16;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Gives the bytes to each of the others.</summary>
    /// <param name="bytes">What is handed over.</param>
    /// <param name="port">Where the others come.</param>
    /// <param name="size">How many processes there are, this one counted.</param>
    /// <param name="patience">How long they are waited for.</param>
    /// <exception cref="LandmarkException">The port is taken, or not all come.</exception>
    public static void Give(byte[] bytes, int port, int size, TimeSpan patience)
    {
        var clock = Stopwatch.StartNew();
        using var listener = TcpListener.Create(port);
        try
        {
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new LandmarkException(
                $"The port {port}, where the other processes would come, cannot be listened at ({e.Message}); "
                + "give the launcher another port (torchrun --master-port), of which it takes that and the next.", e);
        }
        HashSet<int> given = [];
        while (given.Count < size - 1)
        {
            if (!listener.Pending())
            {
                if (clock.Elapsed > patience)
                    throw new LandmarkException(
                        $"Only {given.Count + 1} of {size} processes came together at port {port} in {patience.TotalSeconds:F0} s; "
                        + "see what the others say.");
                Thread.Sleep(Pause);
                continue;
            }
            try
            {
                using var client = Timed(listener.AcceptTcpClient());
                var greeting = new byte[GreetingBytes];
                client.GetStream().ReadExactly(greeting);
                var rank = BinaryPrimitives.ReadInt32LittleEndian(greeting.AsSpan(8));
                // Someone else's, or of another run.
                if (!greeting.AsSpan().SequenceEqual(Greeting(rank, size)) || rank < 1 || rank >= size) continue;
                client.GetStream().Write(bytes);
                given.Add(rank);
            }
            catch (IOException)
            {
                // It comes again, or will be missed.
            }
        }
    }

    /// <summary>Takes the bytes from the first process.</summary>
    /// <param name="bytes">Receives them.</param>
    /// <param name="meeting">Where the first process is.</param>
    /// <param name="rank">This process's number.</param>
    /// <param name="size">How many processes there are.</param>
    /// <param name="patience">How long the first is waited for.</param>
    /// <exception cref="LandmarkException">It is not there.</exception>
    public static void Take(byte[] bytes, (string Host, int Port) meeting, int rank, int size, TimeSpan patience)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var client = Timed(new TcpClient(meeting.Host, meeting.Port));
                client.GetStream().Write(Greeting(rank, size));
                client.GetStream().ReadExactly(bytes);
                return;
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                if (clock.Elapsed > patience)
                    throw new LandmarkException(
                        $"Process {rank} did not find the first process at {meeting.Host}, port {meeting.Port}, in {patience.TotalSeconds:F0} s "
                        + $"({e.Message.TrimEnd('.')}); see what that one says, and whether MASTER_ADDR is its machine.", e);
                Thread.Sleep(Pause);
            }
        }
    }

    /// <summary>Who asks: a word, its rank, and how many it takes part with.</summary>
    private static byte[] Greeting(int rank, int size)
    {
        var greeting = new byte[GreetingBytes];
        "landmark"u8.CopyTo(greeting);
        BinaryPrimitives.WriteInt32LittleEndian(greeting.AsSpan(8), rank);
        BinaryPrimitives.WriteInt32LittleEndian(greeting.AsSpan(12), size);
        return greeting;
    }

    private static TcpClient Timed(TcpClient client)
    {
        (client.ReceiveTimeout, client.SendTimeout) = (5000, 5000);
        return client;
    }
}
