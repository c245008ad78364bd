using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// Operators of libtorch that TorchSharp has no method for, called by name through libtorch's stable C interface. They
/// run on the device of their tensors, and gradients flow through those that compute something.
/// </summary>
public static unsafe class Aten
{
    private const int MaxRank = 64;

    /// <summary>Root-mean-square normalisation over the last dimension: x / √(mean(x²) + ε) · weight.</summary>
    /// <param name="x">The input, <c>[..., D]</c>.</param>
    /// <param name="weight">The scale, <c>[D]</c>, of the same type as <paramref name="x"/>.</param>
    /// <param name="eps">ε, which keeps the root away from 0.</param>
    /// <returns>A tensor of the shape of <paramref name="x"/>.</returns>
    /// <exception cref="LandmarkException">The weight is not of the input's last dimension, or libtorch refuses.</exception>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double eps)
    {
        var input = Sizes(x);
        var scale = Sizes(weight);
        if (input.IsEmpty || !scale.SequenceEqual(input[^1..]))
            throw new LandmarkException(
                $"RMS normalisation of {Text(input)} needs a weight of its last dimension, and found {Text(scale)}.");

        using var stack = new AtenStack();
        stack.Add(x);
        stack.AddList(scale);
        stack.AddOptional(weight);
        stack.AddOptional(eps);
        stack.Call("aten::rms_norm"u8, default, 1);
        return stack.Take(0);
    }

    /// <summary>Rows of a table; the gradient is summed row by row in a deterministic order.</summary>
    /// <param name="weight">The table, <c>[V, D]</c>.</param>
    /// <param name="indices">Row numbers, int64 of any shape, each below V.</param>
    /// <returns><c>[..., D]</c>.</returns>
    /// <exception cref="LandmarkException">libtorch refuses: a row is not in the table, or the indices are not int64.</exception>
    public static Tensor Embedding(Tensor weight, Tensor indices)
    {
        using var stack = new AtenStack();
        stack.Add(weight);
        stack.Add(indices);
        stack.Add(-1L);     // no padding row
        stack.Add(false);   // not scaled by frequency
        stack.Add(false);   // not sparse
        stack.Call("aten::embedding"u8, default, 1);
        return stack.Take(0);
    }

    /// <summary>Softmax(q·kᵀ·scale + mask)·v, by libtorch's fused kernels where they fit.</summary>
    /// <param name="q">Queries, <c>[B, H, T, D]</c>.</param>
    /// <param name="k">Keys, <c>[B, H or fewer, S, D]</c>.</param>
    /// <param name="v">Values, <c>[B, H or fewer, S, D]</c>.</param>
    /// <param name="mask">Added to the scores, or true where a query may look, <c>[B, H, T, S]</c>.</param>
    /// <param name="causal">Query t looks at keys 0 to t alone; excludes a mask.</param>
    /// <param name="scale">The factor of the scores; null for 1/√D.</param>
    /// <param name="enableGqa">Lets several query heads share a key head: their number divides H.</param>
    /// <returns><c>[B, H, T, D]</c>.</returns>
    /// <exception cref="LandmarkException">
    /// A mask and causal order at once, shapes that do not fit together, or libtorch refuses.
    /// </exception>
    public static Tensor ScaledDotProductAttention(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor? mask = null,
        bool causal = false,
        double? scale = null,
        bool enableGqa = false)
    {
        if (mask is not null && causal)
            throw new LandmarkException("Attention takes a mask or causal order, not both: put the order in the mask.");
        var query = Sizes(q);
        var key = Sizes(k);
        var value = Sizes(v);
        if (query is not [_, var heads, _, var width]
            || key is not [_, var keyHeads, var length, var keyWidth]
            || value is not [_, var valueHeads, var valueLength, _]
            || keyWidth != width || valueLength != length || valueHeads != keyHeads
            || (enableGqa ? keyHeads == 0 || heads % keyHeads != 0 : keyHeads != heads))
            throw new LandmarkException(
                $"Attention needs q [B, H, T, D], k [B, H, S, D] and v [B, H, S, E]"
                + $"{(enableGqa ? ", with a divisor of H in k and v" : "")}, "
                + $"and found {Text(query)}, {Text(key)} and {Text(value)}.");

        using var stack = new AtenStack();
        stack.Add(q);
        stack.Add(k);
        stack.Add(v);
        stack.AddOptional(mask);
        stack.Add(0.0);   // dropout
        stack.Add(causal);
        stack.AddOptional(scale);
        stack.Add(enableGqa);
        stack.Call("aten::scaled_dot_product_attention"u8, default, 1);
        return stack.Take(0);
    }

    /// <summary>
    /// One step of AdamW (Loshchilov &amp; Hutter) over all parameters in one pass: moments, bias correction, decoupled
    /// decay and update, in place.
    /// </summary>
    /// <param name="parameters">The parameters; all lists are of one length, order, type and device.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="expAvg">First moments, changed in place.</param>
    /// <param name="expAvgSq">Second moments, changed in place.</param>
    /// <param name="steps">Steps done before, float32 scalars on the parameters' device; each is raised by 1 first. One
    /// tensor may stand for all: it is raised once.</param>
    /// <param name="lr">Learning rate.</param>
    /// <param name="beta1">Decay of the first moment.</param>
    /// <param name="beta2">Decay of the second moment.</param>
    /// <param name="weightDecay">Decoupled decay, multiplied by <paramref name="lr"/>.</param>
    /// <param name="eps">Added to the root of the second moment.</param>
    /// <exception cref="LandmarkException">
    /// The lists differ in length, or their tensors in shape, type or device, or libtorch refuses.
    /// </exception>
    public static void FusedAdamW(
        IReadOnlyList<Tensor> parameters,
        IReadOnlyList<Tensor> gradients,
        IReadOnlyList<Tensor> expAvg,
        IReadOnlyList<Tensor> expAvgSq,
        IReadOnlyList<Tensor> steps,
        double lr,
        double beta1,
        double beta2,
        double weightDecay,
        double eps)
    {
        var count = parameters.Count;
        if (gradients.Count != count || expAvg.Count != count || expAvgSq.Count != count || steps.Count != count)
            throw new LandmarkException(
                $"AdamW needs lists of one length, and found {count} parameters, {gradients.Count} gradients, "
                + $"{expAvg.Count} and {expAvgSq.Count} moments and {steps.Count} steps.");
        if (count == 0)
            return;
        for (var i = 0; i < count; i++)
            CheckAdamW(i, parameters[i], parameters[0], gradients[i], expAvg[i], expAvgSq[i], steps[i]);

        using var noGrad = no_grad();
        foreach (var step in steps.DistinctBy(step => step.Handle))
            step.add_(1);

        using var stack = new AtenStack();
        stack.AddList(parameters);
        stack.AddList(gradients);
        stack.AddList(expAvg);
        stack.AddList(expAvgSq);
        stack.AddList((IReadOnlyList<Tensor>)[]);   // maxima, of AMSGrad alone
        stack.AddList(steps);
        stack.Add(lr);
        stack.Add(beta1);
        stack.Add(beta2);
        stack.Add(weightDecay);
        stack.Add(eps);
        stack.Add(false);           // amsgrad
        stack.Add(false);           // maximize
        stack.AddOptional((Tensor?)null);   // gradient scale
        stack.AddOptional((Tensor?)null);   // whether an overflow was seen
        stack.Call("aten::_fused_adamw_"u8, default, 0);
    }

    /// <summary>
    /// Scales gradients in place so that their joint 2-norm is at most <paramref name="maxNorm"/>, without waiting for
    /// the device.
    /// </summary>
    /// <param name="gradients">The gradients, of one device.</param>
    /// <param name="maxNorm">The largest norm left as it is; infinity leaves all as they are.</param>
    /// <returns>The norm before clipping, a float32 scalar on the gradients' device.</returns>
    /// <exception cref="LandmarkException">There are no gradients, or libtorch refuses.</exception>
    public static Tensor ClipGradientNorm(IReadOnlyList<Tensor> gradients, double maxNorm)
    {
        if (gradients.Count == 0)
            throw new LandmarkException("There are no gradients to clip: call backward first.");

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var norms = gradients.Select(g => Norm(g.to_type(ScalarType.Float32))).ToArray();
        var norm = stack(norms).norm();
        if (double.IsFinite(maxNorm)) MultiplyEach(gradients, (maxNorm / (norm + 1e-6)).clamp_max(1.0));
        return norm.MoveToOuterDisposeScope();
    }

    /// <summary>Multiplies each tensor in place by the same scalar tensor, in one call.</summary>
    /// <param name="tensors">The tensors, of one device.</param>
    /// <param name="factor">A scalar tensor on their device.</param>
    /// <exception cref="LandmarkException">libtorch refuses: the tensors are of several devices, or the factor is no scalar.</exception>
    public static void MultiplyEach(IReadOnlyList<Tensor> tensors, Tensor factor)
    {
        using var stack = new AtenStack();
        stack.AddList(tensors);
        stack.Add(factor);
        stack.Call("aten::_foreach_mul_"u8, "Tensor"u8, 0);
    }

    /// <summary>A tensor over memory that the caller keeps while the tensor or a view of it lives.</summary>
    /// <param name="data">The address of the first element.</param>
    /// <param name="shape">The shape; elements lie in row-major order.</param>
    /// <param name="type">The type of the elements.</param>
    /// <param name="step">Elements from one index of the first dimension to the next; without gaps when null.</param>
    /// <param name="device">Whose tensor it is; the CPU's when null. A card takes pinned memory of this machine too.</param>
    /// <exception cref="LandmarkException">More dimensions than a tensor has, or libtorch refuses.</exception>
    public static Tensor FromBlob(nint data, ReadOnlySpan<long> shape, ScalarType type, long? step = null, Device? device = null)
    {
        if (shape.Length > MaxRank)
            throw new LandmarkException($"A tensor has at most {MaxRank} dimensions, and {shape.Length} are asked.");
        Span<long> strides = stackalloc long[shape.Length];
        var stride = 1L;
        for (var i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= Math.Max(shape[i], 1);
        }
        if (step is { } given) strides[0] = given;

        nint handle;
        fixed (long* sizes = shape, steps = strides)
        {
            AtenStack.Check(AtenApi.aoti_torch_create_tensor_from_blob(
                data, shape.Length, sizes, steps, 0, (int)type, (int)(device?.type ?? DeviceType.CPU), Math.Max(0, device?.index ?? 0), &handle));
        }

        return Tensor.UnsafeCreateTensor(handle);
    }

    /// <summary>
    /// The address of a tensor's first element, on its device. It stays good while the tensor is alive and not resized.
    /// </summary>
    /// <exception cref="LandmarkException">libtorch refuses.</exception>
    public static nint DataPointer(Tensor tensor)
    {
        nint pointer;
        AtenStack.Check(AtenApi.aoti_torch_get_data_ptr(tensor.Handle, &pointer));
        GC.KeepAlive(tensor);
        return pointer;
    }

    /// <summary>
    /// A tensor's shape as libtorch keeps it: no copy, no garbage. Good while the tensor is alive and not resized.
    /// </summary>
    /// <exception cref="LandmarkException">libtorch refuses.</exception>
    public static ReadOnlySpan<long> Sizes(Tensor tensor)
    {
        long rank;
        long* sizes;
        AtenStack.Check(AtenApi.aoti_torch_get_dim(tensor.Handle, &rank));
        AtenStack.Check(AtenApi.aoti_torch_get_sizes(tensor.Handle, &sizes));
        GC.KeepAlive(tensor);
        return new ReadOnlySpan<long>(sizes, (int)rank);
    }

    /// <summary>
    /// How many elements lie from one index to the next, for each dimension: no copy, no garbage. Good as long as
    /// <see cref="Sizes"/>.
    /// </summary>
    /// <exception cref="LandmarkException">libtorch refuses.</exception>
    public static ReadOnlySpan<long> Strides(Tensor tensor)
    {
        long rank;
        long* strides;
        AtenStack.Check(AtenApi.aoti_torch_get_dim(tensor.Handle, &rank));
        AtenStack.Check(AtenApi.aoti_torch_get_strides(tensor.Handle, &strides));
        GC.KeepAlive(tensor);
        return new ReadOnlySpan<long>(strides, (int)rank);
    }

    /// <summary>The norm of all elements. On a CPU libtorch adds up a long row of squares with an error of 1e-4; rows are short.</summary>
    private static Tensor Norm(Tensor x) => x.device_type == DeviceType.CUDA || x.dim() < 2 ? x.norm() : x.norm(-1).norm();

    private static void CheckAdamW(
        int i, Tensor parameter, Tensor first, Tensor gradient, Tensor expAvg, Tensor expAvgSq, Tensor step)
    {
        RequireAlike("gradient", i, parameter, gradient);
        RequireAlike("first moment", i, parameter, expAvg);
        RequireAlike("second moment", i, parameter, expAvgSq);
        if (parameter.dtype != first.dtype || parameter.device_type != first.device_type)
            throw new LandmarkException(
                $"AdamW's parameter {i} is {parameter.dtype} on {parameter.device_type} and parameter 0 {first.dtype} "
                + $"on {first.device_type}: step each kind by itself.");
        if (step.dtype != ScalarType.Float32 || !Sizes(step).IsEmpty || step.device_type != parameter.device_type)
            throw new LandmarkException(
                $"AdamW's step {i} is {step.dtype} {Text(Sizes(step))} on {step.device_type}: it must be a Float32 "
                + $"scalar on {parameter.device_type}.");
    }

    private static void RequireAlike(string name, int i, Tensor parameter, Tensor tensor)
    {
        if (tensor.dtype != parameter.dtype || tensor.device_type != parameter.device_type
            || !Sizes(tensor).SequenceEqual(Sizes(parameter)))
            throw new LandmarkException(
                $"AdamW's {name} {i} is {tensor.dtype} {Text(Sizes(tensor))} on {tensor.device_type}, and its "
                + $"parameter {parameter.dtype} {Text(Sizes(parameter))} on {parameter.device_type}: make them alike.");
    }

    private static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
