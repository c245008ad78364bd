using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>Strings as C wants them, freed together.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly List<nint> memory = [];

    public byte* Add(string text)
    {
        var copy = Marshal.StringToCoTaskMemUTF8(text);
        memory.Add(copy);
        return (byte*)copy;
    }

    public byte** Add(IEnumerable<string> texts)
    {
        nint[] copies = [.. texts.Select(text => (nint)Add(text))];
        var list = Marshal.AllocCoTaskMem(Math.Max(copies.Length, 1) * sizeof(nint));
        memory.Add(list);
        copies.CopyTo(new Span<nint>((void*)list, copies.Length));
        return (byte**)list;
    }

    public void Dispose() => memory.ForEach(Marshal.FreeCoTaskMem);
}
