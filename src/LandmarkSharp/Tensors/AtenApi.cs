using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors;

/// <summary>
/// The part of libtorch's stable C interface that is used here. A function returns 0, or else an error whose text
/// libtorch has written to the error stream.
/// </summary>
/// <remarks>The interface stays the same from one PyTorch to the next; operators are called by name.</remarks>
internal static unsafe partial class AtenApi
{
    private const string Library = "torch_cpu";
    private const string CudaLibrary = "torch_cuda";

    /// <summary>The interface's version that slots are written in: 2.10.</summary>
    public const ulong Version = (2UL << 56) | (10UL << 48);

    // Imports resolve to the libtorch that is loaded, so it must be.
    static AtenApi() => LibTorch.Load();

    [LibraryImport(Library)]
    public static partial int torch_call_dispatcher(byte* op, byte* overload, ulong* stack, ulong version);

    [LibraryImport(Library)]
    public static partial int aoti_torch_new_tensor_handle(nint tensor, nint* result);

    [LibraryImport(Library)]
    public static partial int aoti_torch_delete_tensor_object(nint tensor);

    [LibraryImport(Library)]
    public static partial int aoti_torch_get_data_ptr(nint tensor, nint* result);

    [LibraryImport(Library)]
    public static partial int aoti_torch_get_dim(nint tensor, long* result);

    [LibraryImport(Library)]
    public static partial int aoti_torch_get_sizes(nint tensor, long** result);

    [LibraryImport(Library)]
    public static partial int aoti_torch_get_strides(nint tensor, long** result);

    [LibraryImport(Library)]
    public static partial int aoti_torch_create_tensor_from_blob(
        nint data,
        long rank,
        long* sizes,
        long* strides,
        long offset,
        int type,
        int deviceType,
        int device,
        nint* result);

    [LibraryImport(Library)]
    public static partial int torch_new_list_reserve_size(nuint size, nint* list);

    [LibraryImport(Library)]
    public static partial int torch_list_push_back(nint list, ulong value);

    [LibraryImport(Library)]
    public static partial int torch_list_size(nint list, nuint* size);

    [LibraryImport(Library)]
    public static partial int torch_list_get_item(nint list, nuint index, ulong* value);

    [LibraryImport(Library)]
    public static partial int torch_delete_list(nint list);

    [LibraryImport(Library)]
    public static partial int torch_parallel_for(
        long begin, long end, long grain, delegate* unmanaged<long, long, void*, void> body, void* context);

    [LibraryImport(CudaLibrary)]
    public static partial int aoti_torch_get_current_cuda_stream(int device, nint* stream);
}
