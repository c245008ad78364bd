using System.Runtime.InteropServices;
using System.Text;

namespace LandmarkSharp.Tensors;

/// <summary>
/// glibc's <c>dlopen</c>. .NET's own loader hides a library's symbols from the next one and gives no way to ask what is
/// loaded; libtorch needs both.
/// </summary>
internal static unsafe partial class DynamicLinker
{
    private const int Lazy = 0x1;
    private const int NoLoad = 0x4;
    private const int Global = 0x100;
    private const int Origin = 6;   // RTLD_DI_ORIGIN

    /// <summary>Opens a library with its symbols visible to later ones.</summary>
    /// <param name="path">An absolute path, or a name to search the system's folders for.</param>
    /// <param name="handle">The handle; 0 on failure.</param>
    /// <returns>Null, or what the linker said.</returns>
    public static string? Open(string path, out nint handle)
    {
        // Binding an import asks the linker too, which forgets the error: bind this one before there is an error.
        _ = dlerror();
        handle = dlopen(path, Lazy | Global);
        return handle != 0 ? null : LastError();
    }

    /// <summary>The folder of a library that is in the process already, by its name; null when it is not.</summary>
    public static string? FolderOfLoaded(string name)
    {
        var handle = dlopen(name, Lazy | NoLoad);
        if (handle == 0)
            return null;
        var buffer = stackalloc byte[4096];   // PATH_MAX
        return dlinfo(handle, Origin, buffer) == 0 && Marshal.PtrToStringUTF8((nint)buffer) is { } folder
            ? LibTorchFolders.Normalize(folder)
            : null;
    }

    private static string LastError() =>
        Marshal.PtrToStringUTF8(dlerror()) is { Length: > 0 } text ? text : "the dynamic linker gave no reason";

    private static nint dlopen(string path, int flags)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
            return dlopen(name, flags);
    }

    [LibraryImport("libdl.so.2")]
    private static partial nint dlopen(byte* path, int flags);

    [LibraryImport("libdl.so.2")]
    private static partial nint dlerror();

    [LibraryImport("libdl.so.2")]
    private static partial int dlinfo(nint handle, int request, void* result);
}
