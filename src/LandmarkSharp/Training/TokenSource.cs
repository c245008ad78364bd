using System.IO.MemoryMappedFiles;

namespace LandmarkSharp.Training;

/// <summary>A long stream of token ids, read by windows from any place.</summary>
public abstract class TokenSource : IDisposable
{
    /// <summary>The number of tokens.</summary>
    public abstract long Count { get; }

    /// <summary>Fills <paramref name="destination"/> with the tokens from <paramref name="start"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The window does not lie inside the stream.</exception>
    public void Window(long start, Span<int> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        Read(start, destination);
    }

    /// <summary>A stream over tokens in memory.</summary>
    public static TokenSource FromTokens(int[] tokens) => new ArrayTokens(tokens);

    /// <summary>A stream over a file of so many little-endian unsigned ids of 2 or 4 bytes each, mapped, not loaded.</summary>
    internal static TokenSource Map(string path, long count, int bytesPerToken) =>
        bytesPerToken == 2 ? new MappedTokens<ushort>(path, count) : new MappedTokens<uint>(path, count);

    /// <summary>Reads a window that is known to lie inside the stream.</summary>
    protected abstract void Read(long start, Span<int> destination);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of the file behind the stream.</summary>
    protected virtual void Dispose(bool disposing) { }

    private sealed class ArrayTokens(int[] tokens) : TokenSource
    {
        public override long Count => tokens.Length;

        protected override void Read(long start, Span<int> destination) =>
            tokens.AsSpan((int)start, destination.Length).CopyTo(destination);
    }

    private sealed class MappedTokens<T> : TokenSource
        where T : unmanaged
    {
        private readonly MemoryMappedFile file;
        private readonly MemoryMappedViewAccessor view;

        public MappedTokens(string path, long count)
        {
            Count = count;
            file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        }

        public override long Count { get; }

        protected override unsafe void Read(long start, Span<int> destination)
        {
            byte* pointer = null;
            var handle = view.SafeMemoryMappedViewHandle;
            handle.AcquirePointer(ref pointer);
            try
            {
                var source = (T*)(pointer + view.PointerOffset) + start;
                if (typeof(T) == typeof(ushort))
                    for (var i = 0; i < destination.Length; i++) destination[i] = ((ushort*)source)[i];
                else
                    new ReadOnlySpan<int>(source, destination.Length).CopyTo(destination);
            }
            finally
            {
                handle.ReleasePointer();
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                view.Dispose();
                file.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
