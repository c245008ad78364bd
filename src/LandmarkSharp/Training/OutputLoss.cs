using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Training.Cuda;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace LandmarkSharp.Training;

/// <summary>
/// Cross-entropy of a decoder's logits, slice by slice of the positions. A vocabulary is far wider than a model, so logits of a whole
/// batch and their gradient would take more memory than all else: what stands there is one slice, and its gradients, which are known as
/// soon as the logits are, are taken before the next.
/// </summary>
internal static class OutputLoss
{
    private const long SliceBytes = 256 << 20;     // of logits: enough rows for products to be fast

    /// <summary>Cross-entropy of each position, and the likeliest token there; no gradients.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="hidden">What its layers gave, [P, D].</param>
    /// <param name="targets">Int64 [P]; <see cref="Batch.Ignored"/> where nothing is to be predicted.</param>
    /// <param name="predictions">Whether the likeliest tokens are asked for.</param>
    /// <param name="sliceBytes">Bytes of a slice's logits at most, though a slice has a position.</param>
    /// <returns>Float32 [P], 0 where nothing is predicted, and int64 [P] or null.</returns>
    public static (Tensor Cross, Tensor? Predicted) Evaluate(
        Decoder decoder, Tensor hidden, Tensor targets, bool predictions, long sliceBytes = SliceBytes)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var output = new Output(decoder, hidden.dtype);
        List<Tensor> cross = [], predicted = [];
        foreach (var (h, t) in hidden.split(output.Rows(sliceBytes)).Zip(targets.split(output.Rows(sliceBytes))))
        {
            using var slice = NewDisposeScope();
            var logits = output.Logits(h);                                                      // [S, V]
            cross.Add(Cross(F.log_softmax(logits.to(ScalarType.Float32), 1), t).MoveToOuterDisposeScope());
            if (predictions) predicted.Add(logits.argmax(1).MoveToOuterDisposeScope());
        }
        return (cat(cross).MoveToOuterDisposeScope(), predictions ? cat(predicted).MoveToOuterDisposeScope() : null);
    }

    /// <summary>Cross-entropy of each position, and what a backward pass of Σ weight · cross-entropy begins with.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="hidden">What its layers gave, [P, D].</param>
    /// <param name="targets">Int64 [P]; <see cref="Batch.Ignored"/> where nothing is to be predicted.</param>
    /// <param name="weights">Float32 [P]; 0 where nothing is to be predicted.</param>
    /// <param name="sliceBytes">Bytes of a slice's logits at most, though a slice has a position.</param>
    /// <returns>
    /// Float32 [P], 0 where nothing is predicted, and the gradients with respect to <paramref name="hidden"/> and to the output's parameter.
    /// </returns>
    public static (Tensor Cross, LossGradients Gradients) Differentiate(
        Decoder decoder, Tensor hidden, Tensor targets, Tensor weights, long sliceBytes = SliceBytes)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var output = new Output(decoder, hidden.dtype);
        var rows = output.Rows(sliceBytes);
        List<Tensor> cross = [], gradients = [];
        foreach (var ((h, t), w) in hidden.split(rows).Zip(targets.split(rows)).Zip(weights.unsqueeze(1).split(rows)))
        {
            using var slice = NewDisposeScope();
            var logits = output.Logits(h);                                                      // [S, V]
            var (of, d) = OfLogits(logits, t);
            cross.Add(of.MoveToOuterDisposeScope());
            // The weight is multiplied into what is thin.
            gradients.Add((output.Back(d, (h * w).to(h.dtype)) * w).to(h.dtype).MoveToOuterDisposeScope());
        }
        return (
            cat(cross).MoveToOuterDisposeScope(),
            new LossGradients(hidden, cat(gradients).MoveToOuterDisposeScope(), output.Parameter, output.Gradient!.MoveToOuterDisposeScope()));
    }

    /// <summary>Cross-entropy, [S], and ∂ cross-entropy / ∂ logits = softmax − 1 at the target, in place of the logits, [S, V].</summary>
    private static (Tensor Cross, Tensor Gradient) OfLogits(Tensor logits, Tensor targets)
    {
        if (CudaCrossEntropy.Serves(logits)) return (CudaCrossEntropy.Differentiate(logits, targets), logits);
        var logs = F.log_softmax(logits.to(ScalarType.Float32), 1);
        var cross = Cross(logs, targets);
        var gradient = logs.exp_();
        gradient.scatter_add_(1, Places(targets), full([targets.shape[0], 1], -1, gradient.dtype, gradient.device));
        return (cross, logits.dtype == gradient.dtype ? gradient : logits.copy_(gradient));
    }

    private static Tensor Cross(Tensor logs, Tensor targets) =>
        logs.gather(1, Places(targets)).squeeze(1).neg_().masked_fill_(targets.eq(Batch.Ignored), 0);

    private static Tensor Places(Tensor targets) => targets.clamp_min(0).unsqueeze(1);          // [S, 1]

    /// <summary>The product that gives logits, its matrix cast once for all slices.</summary>
    private sealed class Output(Decoder decoder, ScalarType type)
    {
        private readonly Tensor matrix = decoder.OutputMatrix.to(type);                         // [V, D]
        private readonly Tensor? own = decoder.OutputRows?.to(type);                            // [n, D], in place of the matrix's
        private readonly Tensor? ids = decoder.OutputRows is null                               // [n]
            ? null
            : tensor(decoder.Config.Landmark!.OwnTokens.Select(i => (long)i).ToArray(), device: decoder.Device);

        /// <summary>What is learned of it.</summary>
        public Tensor Parameter => decoder.OutputRows ?? decoder.OutputMatrix;

        /// <summary>The parameter's gradient, of all slices so far.</summary>
        public Tensor? Gradient { get; private set; }

        public long Rows(long bytes) => Math.Max(1, bytes / (matrix.shape[0] * matrix.element_size()));

        /// <summary>[S, D] to [S, V], which is the caller's to change.</summary>
        public Tensor Logits(Tensor h)
        {
            var logits = new Linear(matrix).Forward(h);
            if (own is not null) logits.index_copy_(1, ids!, h.matmul(own.t()));
            return logits;
        }

        /// <summary>
        /// The gradient of what the layers gave, [S, D], by that of its logits, [S, V], which is used up; the parameter's is added to
        /// <see cref="Gradient"/>.
        /// </summary>
        public Tensor Back(Tensor logits, Tensor weighted)
        {
            if (own is null)
            {
                Add(logits.t().matmul(weighted));
                return logits.matmul(matrix);
            }
            var ofOwn = logits.index_select(1, ids!);                                           // [S, n]
            logits.index_fill_(1, ids!, 0);
            Add(ofOwn.t().matmul(weighted));
            return logits.matmul(matrix).addmm_(ofOwn, own);
        }

        private void Add(Tensor gradient)
        {
            if (Gradient is null) Gradient = gradient.to(Parameter.dtype).MoveToOuterDisposeScope();
            else Gradient.add_(gradient);
        }
    }
}

/// <summary>What a loss's backward pass begins with.</summary>
/// <param name="Hidden">What the layers gave, [P, D].</param>
/// <param name="OfHidden">The gradient with respect to it.</param>
/// <param name="Parameter">The output's parameter: a matrix, or the own tokens' rows beside a frozen one.</param>
/// <param name="OfParameter">The gradient with respect to that, in its type.</param>
internal sealed record LossGradients(Tensor Hidden, Tensor OfHidden, Tensor Parameter, Tensor OfParameter)
{
    /// <summary>These, in the scope around the one they are in; the parameter stays where it is.</summary>
    public LossGradients MoveToOuterDisposeScope()
    {
        foreach (var tensor in (Tensor[])[Hidden, OfHidden, OfParameter]) tensor.MoveToOuterDisposeScope();
        return this;
    }

    /// <summary>Adds the loss's gradients to those of all parameters; what fails in a function of ours is told as it is.</summary>
    public void Backward() => BackwardFailure.Told(() => autograd.backward([Hidden, Parameter], [OfHidden, OfParameter]));
}
