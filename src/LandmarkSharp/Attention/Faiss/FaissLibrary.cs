using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention.Faiss;

/// <summary>FAISS through <c>landmark_faiss.cpp</c>: a component that need not be there, looked for when it is first asked for.</summary>
internal static unsafe class FaissLibrary
{
    /// <summary>The environment variable that names the library's file, where it is not beside the program.</summary>
    public const string Variable = "LANDMARK_FAISS";

    private const string FileName = "liblandmark_faiss.so";

    private static readonly Lazy<Functions> Loaded = new(() => Open(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Whether the library's file is there.</summary>
    public static bool IsThere => File.Exists(PathOf(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Makes sure that FAISS is there, before hours are spent.</summary>
    /// <exception cref="LandmarkException">It is not, or it cannot be loaded.</exception>
    public static void Require() => _ = Loaded.Value;

    /// <summary>A new index by inner product.</summary>
    /// <param name="name">FAISS's name of it, such as <c>IVF256,Flat</c>.</param>
    /// <param name="width">Width of a key, d.</param>
    /// <param name="breadth">Lists of an inverted file, or candidates of a graph, that are searched.</param>
    /// <exception cref="LandmarkException">FAISS is not there.</exception>
    public static nint Create(string name, int width, int breadth)
    {
        nint index;
        fixed (byte* text = System.Text.Encoding.UTF8.GetBytes(name + '\0'))
            Check(Loaded.Value.Create(text, width, breadth, &index));
        return index;
    }

    /// <summary>Trains an index with keys, [n, d].</summary>
    public static void Train(nint index, float* keys, long count) => Check(Loaded.Value.Train(index, keys, count));

    /// <summary>Adds keys, [n, d]; their numbers follow those that there are.</summary>
    public static void Add(nint index, float* keys, long count) => Check(Loaded.Value.Add(index, keys, count));

    /// <summary>The best keys of queries, [n, d]: numbers and scores, [n, k], −1 where there are fewer.</summary>
    public static void Search(nint index, float* queries, long count, long k, long* numbers, float* scores) =>
        Check(Loaded.Value.Search(index, queries, count, k, numbers, scores));

    /// <summary>Frees an index.</summary>
    public static void Free(nint index) => Loaded.Value.Free(index);

    /// <summary>Opens the library.</summary>
    /// <param name="variable">What the environment variable says.</param>
    /// <exception cref="LandmarkException">It is not there, or cannot be loaded.</exception>
    internal static Functions Open(string? variable)
    {
        var path = PathOf(variable);
        if (!File.Exists(path))
            throw new LandmarkException(
                $"FAISS's indexes need {FileName}, and {path} is not there: build it with eng/build-faiss.sh (Debian's libfaiss-dev and g++) and "
                + $"put it beside the program or name it by {Variable}, or take the hierarchical index.");
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new LandmarkException($"{path} cannot be loaded ({e.Message.Split('\n')[0].TrimEnd('.')}); build it again with eng/build-faiss.sh.", e);
        }
        nint Of(string name) => NativeLibrary.TryGetExport(library, $"landmark_faiss_{name}", out var address) ? address
            : throw new LandmarkException($"{path} has no landmark_faiss_{name}; build it again with eng/build-faiss.sh.");
        return new Functions(Of("create"), Of("train"), Of("add"), Of("search"), Of("free"));
    }

    private static string PathOf(string? variable) =>
        string.IsNullOrWhiteSpace(variable) ? Path.Combine(AppContext.BaseDirectory, FileName) : Path.GetFullPath(variable);

    private static void Check(byte* failure)
    {
        if (failure != null) throw new LandmarkException($"FAISS failed: {Marshal.PtrToStringUTF8((nint)failure)?.TrimEnd('.')}; take another index.");
    }

    /// <summary>The library's functions.</summary>
    internal sealed class Functions(nint create, nint train, nint add, nint search, nint free)
    {
        public delegate* unmanaged<byte*, int, int, nint*, byte*> Create { get; } = (delegate* unmanaged<byte*, int, int, nint*, byte*>)create;

        public delegate* unmanaged<nint, float*, long, byte*> Train { get; } = (delegate* unmanaged<nint, float*, long, byte*>)train;

        public delegate* unmanaged<nint, float*, long, byte*> Add { get; } = (delegate* unmanaged<nint, float*, long, byte*>)add;

        public delegate* unmanaged<nint, float*, long, long, long*, float*, byte*> Search { get; } =
            (delegate* unmanaged<nint, float*, long, long, long*, float*, byte*>)search;

        public delegate* unmanaged<nint, void> Free { get; } = (delegate* unmanaged<nint, void>)free;
    }
}
