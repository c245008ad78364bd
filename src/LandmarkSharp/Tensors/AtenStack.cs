using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// The arguments of one call of an operator by name, and then its results. A slot holds a number, or a handle or a
/// pointer that the stack owns until the call, which takes them over; <see cref="Dispose"/> frees what was not taken.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe ref struct AtenStack
{
    private Slots slots;
    private Owners owners;
    private int count;
    private int results;

    /// <summary>What must be done to free a slot.</summary>
    private enum Owner : byte
    {
        Nothing,
        Tensor,
        Memory,
        MemoryWithTensor,
        List,
        ListOfTensors,
    }

    public void Add(Tensor tensor) => Push(Share(tensor), Owner.Tensor);

    public void Add(double value) => Push(BitConverter.DoubleToUInt64Bits(value), Owner.Nothing);

    public void Add(long value) => Push((ulong)value, Owner.Nothing);

    public void Add(bool value) => Push(value ? 1UL : 0UL, Owner.Nothing);

    public void AddOptional(Tensor? tensor)
    {
        if (tensor is null)
        {
            Push(0, Owner.Nothing);
            return;
        }

        var handle = Share(tensor);
        Push(Allocate(handle), Owner.MemoryWithTensor);
    }

    public void AddOptional(double? value)
    {
        if (value is { } number)
            Push(Allocate(BitConverter.DoubleToUInt64Bits(number)), Owner.Memory);
        else
            Push(0, Owner.Nothing);
    }

    public void AddList(scoped ReadOnlySpan<long> values)
    {
        var list = NewList(values.Length);
        Push((ulong)list, Owner.List);
        foreach (var value in values)
            Check(AtenApi.torch_list_push_back(list, (ulong)value));
    }

    public void AddList(IReadOnlyList<Tensor> tensors)
    {
        var list = NewList(tensors.Count);
        Push((ulong)list, Owner.ListOfTensors);
        for (var i = 0; i < tensors.Count; i++)
        {
            var handle = Share(tensors[i]);
            if (AtenApi.torch_list_push_back(list, handle) != 0)
            {
                Free(handle, Owner.Tensor);
                Check(1);
            }
        }
    }

    /// <summary>Calls the operator with the slots added so far.</summary>
    /// <param name="op">Its name, such as <c>"aten::rms_norm"u8</c>: a literal, behind which the compiler puts the
    /// zero that ends it.</param>
    /// <param name="overload">Its overload, likewise; empty for the one without a name.</param>
    /// <param name="resultCount">How many tensors it returns.</param>
    public void Call(ReadOnlySpan<byte> op, ReadOnlySpan<byte> overload, int resultCount)
    {
        // From here the callee frees the arguments, also when it fails.
        count = 0;
        int error;
        fixed (byte* name = op, overloadName = overload)
        fixed (ulong* stack = &slots[0])
        {
            byte none = 0;
            error = AtenApi.torch_call_dispatcher(
                name, overloadName is null ? &none : overloadName, stack, AtenApi.Version);
        }

        if (error != 0)
            throw new LandmarkException(
                $"libtorch's operator {System.Text.Encoding.UTF8.GetString(op)} failed, for the reason it wrote to the "
                + "error stream: check the shapes, types and devices of its tensors, and the memory that is left.");
        results = resultCount;
        for (var i = 0; i < resultCount; i++)
            owners[i] = Owner.Tensor;
        count = resultCount;
    }

    /// <summary>Takes a result of <see cref="Call"/>; the caller owns it.</summary>
    public Tensor Take(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, results);
        owners[index] = Owner.Nothing;
        return Tensor.UnsafeCreateTensor((nint)slots[index]);
    }

    /// <summary>Frees every slot that no call and no caller has taken over.</summary>
    public void Dispose()
    {
        for (var i = 0; i < count; i++)
            Free(slots[i], owners[i]);
        count = 0;
    }

    public static void Check(int error)
    {
        if (error != 0)
            throw new LandmarkException("libtorch failed, for the reason it wrote to the error stream.");
    }

    private static ulong Share(Tensor tensor)
    {
        nint handle;
        Check(AtenApi.aoti_torch_new_tensor_handle(tensor.Handle, &handle));
        GC.KeepAlive(tensor);
        return (ulong)handle;
    }

    private static nint NewList(int size)
    {
        nint list;
        Check(AtenApi.torch_new_list_reserve_size((nuint)size, &list));
        return list;
    }

    // libtorch frees it with delete, which on glibc is free.
    private static ulong Allocate(ulong value)
    {
        var memory = (ulong*)NativeMemory.Alloc(sizeof(ulong));
        *memory = value;
        return (ulong)memory;
    }

    private static void Free(ulong slot, Owner owner)
    {
        switch (owner)
        {
            case Owner.Tensor:
                _ = AtenApi.aoti_torch_delete_tensor_object((nint)slot);
                break;
            case Owner.Memory:
                NativeMemory.Free((void*)slot);
                break;
            case Owner.MemoryWithTensor:
                Free(*(ulong*)slot, Owner.Tensor);
                NativeMemory.Free((void*)slot);
                break;
            case Owner.ListOfTensors:
                nuint size;
                if (AtenApi.torch_list_size((nint)slot, &size) == 0)
                {
                    for (nuint i = 0; i < size; i++)
                    {
                        ulong item;
                        if (AtenApi.torch_list_get_item((nint)slot, i, &item) == 0)
                            Free(item, Owner.Tensor);
                    }
                }

                _ = AtenApi.torch_delete_list((nint)slot);
                break;
            case Owner.List:
                _ = AtenApi.torch_delete_list((nint)slot);
                break;
            case Owner.Nothing:
            default:
                break;
        }
    }

    private void Push(ulong value, Owner owner)
    {
        slots[count] = value;
        owners[count] = owner;
        count++;
    }

    [InlineArray(16)]
    private struct Slots
    {
        private ulong first;
    }

    [InlineArray(16)]
    private struct Owners
    {
        private Owner first;
    }
}
