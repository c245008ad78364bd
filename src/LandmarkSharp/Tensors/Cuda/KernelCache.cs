using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>
/// Compiled kernels on disk, so that a machine compiles each once. Any number of processes may share a folder; what is
/// damaged in it is made again, and where it cannot be written, kernels are compiled in every process.
/// </summary>
/// <param name="folder">Where the files lie; made when first needed. Null keeps nothing.</param>
internal sealed class KernelCache(string? folder)
{
    /// <summary>The environment variable that names the folder of all that can be made again.</summary>
    public const string Variable = "LANDMARK_CACHE";

    /// <summary>The folder that the environment asks for, else the user's own; null when there is none.</summary>
    public static string? DefaultFolder(Func<string, string?> variable)
    {
        if (variable(Variable) is { Length: > 0 } wanted)
            return Path.Combine(Path.GetFullPath(wanted), "kernels");
        // The convention says that a relative path counts as none.
        if (variable("XDG_CACHE_HOME") is { } shared && Path.IsPathRooted(shared))
            return Path.Combine(shared, "landmarksharp", "kernels");
        return variable("HOME") is { } home && Path.IsPathRooted(home)
            ? Path.Combine(home, ".cache", "landmarksharp", "kernels")
            : null;
    }

    /// <summary>What a compiled kernel depends on, as a file name.</summary>
    public static string Key(KernelSource source, string architecture, Version compiler)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string text)
        {
            // With its length in front, so that no two lists of texts look alike.
            var bytes = Encoding.UTF8.GetBytes(text);
            Span<byte> length = stackalloc byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
            hash.AppendData(length);
            hash.AppendData(bytes);
        }

        Add(compiler.ToString());
        Add(source.Text);
        foreach (var option in Nvrtc.Options(source, architecture))
            Add(option);
        foreach (var header in KernelSource.Headers)
        {
            Add(header.Name);
            Add(header.Text);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The kernel kept under a key; compiled, and kept, when there is none or it is damaged.</summary>
    public byte[] Get(string key, Func<byte[]> compile)
    {
        if (folder is null)
            return compile();
        var path = Path.Combine(folder, key);
        if (Read(path, key) is { } kept)
            return kept;
        var code = compile();
        Write(path, key, code);
        return code;
    }

    private static byte[]? Read(string path, string key)
    {
        byte[] file;
        try
        {
            file = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        if (file.Length < SHA256.HashSizeInBytes)
            return null;
        var code = file.AsSpan(SHA256.HashSizeInBytes);
        return Checksum(key, code).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes)) ? code.ToArray() : null;
    }

    // Written beside and renamed: another process sees the whole file or none. A cache that cannot be written is slower
    // and nothing else, so that is no error.
    private static void Write(string path, string key, byte[] code)
    {
        var beside = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using (var file = File.Create(beside))
            {
                file.Write(Checksum(key, code));
                file.Write(code);
            }

            File.Move(beside, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Discard(beside);
        }
    }

    private static void Discard(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Then it was never made.
        }
    }

    // With the key in it, so that a file under another's name counts as damaged.
    private static byte[] Checksum(string key, ReadOnlySpan<byte> code)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(key));
        hash.AppendData(code);
        return hash.GetHashAndReset();
    }
}
