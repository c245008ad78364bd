using System.Collections.Concurrent;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>A CUDA C++ source, the headers that it may include, and what it is compiled with.</summary>
/// <param name="Name">Its file name, for messages.</param>
/// <param name="Text">The source.</param>
/// <param name="Defines">Macros, each <c>NAME=VALUE</c>: what a kernel is specialised for.</param>
internal sealed record KernelSource(string Name, string Text, params IReadOnlyList<string> Defines)
{
    private static readonly ConcurrentDictionary<string, string> Texts = new();
    private static readonly Lazy<IReadOnlyList<KernelHeader>> Shipped = new(ReadHeaders);

    /// <summary>The headers that ship in this assembly: every source sees them all.</summary>
    public static IReadOnlyList<KernelHeader> Headers => Shipped.Value;

    /// <summary>A source that ships in this assembly.</summary>
    public static KernelSource FromResource(string name, params IReadOnlyList<string> defines) => new(name, Read(name), defines);

    private static KernelHeader[] ReadHeaders() =>
    [
        .. typeof(KernelSource).Assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith(".cuh", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(name => new KernelHeader(name, Read(name))),
    ];

    // A launch asks for its source each time.
    private static string Read(string name) => Texts.GetOrAdd(name, ReadResource);

    private static string ReadResource(string name)
    {
        using var stream = typeof(KernelSource).Assembly.GetManifestResourceStream(name)
            ?? throw new ArgumentException($"No resource is called {name}.", nameof(name));
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

/// <summary>A header by the name that a source includes it by.</summary>
internal sealed record KernelHeader(string Name, string Text);
