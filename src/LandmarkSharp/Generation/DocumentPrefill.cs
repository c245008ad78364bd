using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>A document's own memory while it is read into a file: the passes of a <see cref="Session"/> that reads the same text.</summary>
internal sealed class DocumentPrefill : IDisposable
{
    private readonly LandmarkEngine engine;
    private readonly BlockMemory memory;
    private readonly FiledBlocks filed;

    /// <summary>Begins a document.</summary>
    /// <param name="engine">The model, on the CPU.</param>
    /// <param name="hotBytes">Bytes of blocks that are kept in memory; null leaves it to the system.</param>
    public DocumentPrefill(LandmarkEngine engine, long? hotBytes)
    {
        (this.engine, memory) = (engine, (BlockMemory)engine.NewMemory());
        filed = new FiledBlocks(memory, hotBytes);
    }

    /// <summary>Blocks of the next pass: what is read ends after a pass, at a window's border, or with the document.</summary>
    public int PassBlocks => memory.Room / memory.BlockLength;

    /// <summary>Goes on where a document stopped.</summary>
    /// <inheritdoc cref="FiledBlocks.StartAfter"/>
    public void StartAfter(MemoryFileWriter writer, MemoryFile file, IReadOnlyList<MemorySegment> segments, CancellationToken cancel) =>
        filed.StartAfter(writer, file, segments, cancel);

    /// <summary>Reads on, into a segment of the file, a pass at each step.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="tokens">Regular tokens of all its blocks; the document ends with them where they are no whole passes.</param>
    /// <param name="cancel">Stops between passes.</param>
    /// <returns>After each pass, how many of them have been read. The segment is written when there are no more.</returns>
    /// <exception cref="LandmarkException">The model computes no numbers, or the disk refuses.</exception>
    public IEnumerable<int> Read(BegunSegment segment, int[] tokens, CancellationToken cancel)
    {
        var (landmark, first) = (engine.Config.Landmark!, filed.Count);
        var ids = Array.ConvertAll(LandmarkStream.Insert(tokens, landmark.BlockTokens, landmark.Id), id => (long)id);
        for (int at = 0, count; at < ids.Length; at += count)
        {
            cancel.ThrowIfCancellationRequested();
            count = Math.Min(memory.Room, ids.Length - at);
            Pass(ids.AsSpan(at, count));
            segment.Write(s => filed.Write(s, first));
            yield return (at + count) / landmark.BlockLength * landmark.BlockTokens;
        }
        segment.Write(s => SavedBlocks.WriteLandmarks(s, memory, first));
        ProcessMemory.GiveBackFreed();
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();

    private void Pass(ReadOnlySpan<long> ids)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        memory.Begin(ids.Length);
        var hidden = engine.Decoder.Forward(tensor(ids.ToArray()).unsqueeze(0), memory).squeeze(0);      // [T, D]
        Finite.Checked(hidden.narrow(0, ids.Length - 1, 1));
        memory.End();
    }
}
