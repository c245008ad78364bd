using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// What a Transformer-XL trains with, over a whole segment of several windows at once. No gradient goes through the keys and values
/// of the windows before, so losses and gradients are those of windows run forward and backward one after the other, each on
/// what the one before left: within a layer a window needs nothing of the others but these.
/// </summary>
/// <param name="rotary">The model's rotary embedding; positions are those of the segment.</param>
/// <param name="recurrence">Window and cache; the segment's last window may be shorter.</param>
public sealed class RecurrentAttention(Rotary rotary, Recurrence recurrence) : IAttention, IDisposable
{
    private RotaryTable? table;
    private Tensor? mask;       // [W, C + W]: a full cache, and the window up to the query

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        var (length, window, cache) = (q.shape[2], recurrence.Window, recurrence.Cache);
        if (table is null || table.Cos.shape[0] != length)
        {
            table?.Dispose();
            table = rotary.Table(arange(length, device: q.device), q.dtype).Keep();
        }
        mask ??= arange(-cache, window, device: q.device).le(arange(window, device: q.device).unsqueeze(1)).DetachFromDisposeScope();
        var (queries, keys) = (RotaryFunction.Apply(q, table), RotaryFunction.Apply(k, table));
        var (pastKeys, pastValues) = (keys.detach(), v.detach());
        List<Tensor> outputs = [];
        for (long at = 0, windows, count; at < length; at += windows * count)
        {
            // Whole windows after a full cache lie alike, and are a batch.
            var cached = Math.Min(cache, at);
            windows = cached == cache ? Math.Max(1, (length - at) / window) : 1;
            count = Math.Min(window, length - at);
            Tensor Windows(Tensor x, long from, long size) => x.narrow(2, from, ((windows - 1) * count) + size)
                .unfold(2, size, count).permute(0, 2, 1, 4, 3).flatten(0, 1);               // [B·n, H, size, d]
            Tensor Seen(Tensor past, Tensor now) =>
                cached == 0 ? Windows(now, at, count) : cat([Windows(past, at - cached, cached), Windows(now, at, count)], 2);
            var output = Aten.ScaledDotProductAttention(
                Windows(queries, at, count), Seen(pastKeys, keys), Seen(pastValues, v),
                mask.narrow(0, 0, count).narrow(1, cache - cached, cached + count),
                scale: rotary.ScoreScale / Math.Sqrt(rotary.HeadDim), enableGqa: q.shape[1] != k.shape[1]);
            outputs.Add(output.unflatten(0, [-1, windows]).transpose(1, 2).flatten(2, 3));  // [B, H, n·W, d]
        }
        return cat(outputs, 2).MoveToOuterDisposeScope();                                   // [B, H, T, d]
    }

    /// <summary>Frees the table of angles and the mask.</summary>
    public void Dispose()
    {
        table?.Dispose();
        mask?.Dispose();
        (table, mask) = (null, null);
    }
}
