using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>Part of a tensor within a stretch of the vector that tensors make together, in elements.</summary>
/// <param name="Tensor">The tensor's number.</param>
/// <param name="InTensor">Where the part begins in the tensor.</param>
/// <param name="InStretch">Where it begins in the stretch.</param>
/// <param name="Length">Its length.</param>
internal sealed record Piece(int Tensor, long InTensor, long InStretch, long Length);

/// <summary>Tensors laid end to end: one vector, of which a stretch is sent at a time, so that collectives are few and their room is small.</summary>
internal sealed class EndToEnd
{
    /// <summary>Elements that are sent at a time: 64 MiB of float32.</summary>
    public const long Stretch = 1 << 24;

    private readonly IReadOnlyList<Tensor> tensors;
    private readonly long[] starts;      // of each tensor, and the end of the last

    /// <summary>Lays tensors end to end.</summary>
    /// <param name="tensors">Contiguous, of one type and device.</param>
    public EndToEnd(IReadOnlyList<Tensor> tensors)
    {
        this.tensors = tensors;
        starts = new long[tensors.Count + 1];
        for (var i = 0; i < tensors.Count; i++) starts[i + 1] = starts[i] + tensors[i].numel();
    }

    /// <summary>Elements of the vector.</summary>
    public long Length => starts[^1];

    /// <summary>Where a tensor begins in it.</summary>
    public long Start(int tensor) => starts[tensor];

    /// <summary>The parts of tensors that a stretch has, in order; behind the vector's end there are none.</summary>
    public IEnumerable<Piece> Pieces(long from, long count)
    {
        var to = Math.Min(from + count, Length);
        for (var i = 0; i < tensors.Count; i++)
        {
            var (begin, end) = (Math.Max(from, starts[i]), Math.Min(to, starts[i + 1]));
            if (begin < end) yield return new Piece(i, begin - starts[i], begin - from, end - begin);
        }
    }

    /// <summary>A copy of a stretch, with zeros behind the vector's end.</summary>
    /// <param name="of">What of each tensor is read: itself, or its gradient.</param>
    /// <param name="from">The first element.</param>
    /// <param name="count">How many.</param>
    /// <returns>[count].</returns>
    public Tensor Read(Func<Tensor, Tensor> of, long from, long count)
    {
        using var scope = NewDisposeScope();
        var result = zeros(count, tensors[0].dtype, tensors[0].device);
        foreach (var piece in Pieces(from, count))
            result.narrow(0, piece.InStretch, piece.Length).copy_(
                of(tensors[piece.Tensor]).reshape(-1).narrow(0, piece.InTensor, piece.Length));
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Writes a stretch; what lies behind the vector's end is left out.</summary>
    public void Write(long from, Tensor values)
    {
        using var scope = NewDisposeScope();
        foreach (var piece in Pieces(from, values.numel()))
            tensors[piece.Tensor].view(-1).narrow(0, piece.InTensor, piece.Length).copy_(
                values.narrow(0, piece.InStretch, piece.Length));
    }
}
