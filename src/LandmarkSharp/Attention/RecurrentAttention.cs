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
        var (queries, keys) = (table.Rotate(q), table.Rotate(k));
        var (pastKeys, pastValues) = (keys.detach(), v.detach());
        List<Tensor> outputs = [];
        for (long at = 0, count; at < length; at += count)
        {
            count = Math.Min(window, length - at);
            var cached = Math.Min(cache, at);
            Tensor Seen(Tensor past, Tensor now) => cat([past.narrow(2, at - cached, cached), now.narrow(2, at, count)], 2);
            outputs.Add(Aten.ScaledDotProductAttention(
                queries.narrow(2, at, count), Seen(pastKeys, keys), Seen(pastValues, v),
                mask.narrow(0, 0, count).narrow(1, cache - cached, cached + count),
                scale: rotary.ScoreScale / Math.Sqrt(rotary.HeadDim), enableGqa: q.shape[1] != k.shape[1]));
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
