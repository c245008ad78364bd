using CsCheck;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Tensors.Cuda;

public sealed class KernelCacheTests
{
    private static readonly KernelSource Source = new("k.cu", "code", "A=1");

    [Fact]
    public void AKernelIsCompiledOnce()
    {
        using var folder = new TemporaryFolder();
        var compiler = new Counting([1, 2, 3]);
        for (var i = 0; i < 3; i++)
            Assert.Equal([1, 2, 3], new KernelCache(folder["deep/kernels"]).Get("key", compiler.Compile));
        Assert.Equal(1, compiler.Calls);
        Assert.Equal(["key"], Directory.GetFiles(folder["deep/kernels"]).Select(Path.GetFileName));
        new KernelCache(folder["deep/kernels"]).Get("other", compiler.Compile);
        Assert.Equal(2, compiler.Calls);
    }

    [Fact]
    public void AnyDamageIsFoundAndMended() =>
        Gen.Select(Gen.Byte.Array[0, 300], Gen.Int[0, 1 << 20], Gen.Int[1, 255], Gen.Int[0, 2]).Sample((code, where, change, kind) =>
        {
            using var folder = new TemporaryFolder();
            var cache = new KernelCache(folder.Path);
            cache.Get("key", () => code);
            var file = File.ReadAllBytes(folder["key"]);
            if (kind == 0) file[where % file.Length] ^= (byte)change;
            else if (kind == 1) file = file[..(where % file.Length)];
            else file = [.. file, (byte)change];
            File.WriteAllBytes(folder["key"], file);

            var compiler = new Counting(code);
            Assert.Equal(code, cache.Get("key", compiler.Compile));
            Assert.Equal(code, cache.Get("key", compiler.Compile));
            Assert.Equal(1, compiler.Calls);
        }, iter: 300);

    [Fact]
    public void AFileUnderAnotherNameIsNotTaken()
    {
        using var folder = new TemporaryFolder();
        var cache = new KernelCache(folder.Path);
        cache.Get("one", () => [1]);
        File.Move(folder["one"], folder["two"]);
        Assert.Equal([2], cache.Get("two", () => [2]));
    }

    [Fact]
    public void AFolderThatCannotBeWrittenCostsTimeAlone()
    {
        using var folder = new TemporaryFolder();
        folder.Write("file", "no folder");
        foreach (var place in (string?[])[folder["file"], folder["file/below"], "/proc/none/kernels", null])
        {
            var compiler = new Counting([7]);
            Assert.Equal([7], new KernelCache(place).Get("key", compiler.Compile));
            Assert.Equal([7], new KernelCache(place).Get("key", compiler.Compile));
            Assert.Equal(2, compiler.Calls);
        }

        // A folder stands where the file should.
        Directory.CreateDirectory(folder["taken/key"]);
        Assert.Equal([8], new KernelCache(folder["taken"]).Get("key", () => [8]));
        Assert.Empty(Directory.GetFiles(folder["taken"]));
    }

    [Fact]
    public void AFailureToCompileIsNotKept()
    {
        using var folder = new TemporaryFolder();
        var cache = new KernelCache(folder.Path);
        Assert.Throws<LandmarkException>(() => cache.Get("key", () => throw new LandmarkException("No.")));
        Assert.Equal([1], cache.Get("key", () => [1]));
    }

    [Fact]
    public void ManyMayShareAFolder()
    {
        using var folder = new TemporaryFolder();
        var code = new byte[100_000];
        new Random(1).NextBytes(code);
        // Half of them find the file damaged again and again; everyone must read what was compiled.
        Parallel.For(0, 64, i =>
        {
            for (var n = 0; n < 10; n++)
            {
                Assert.Equal(code, new KernelCache(folder.Path).Get("key", () => (byte[])code.Clone()));
                if (i % 2 == 0) Replace(folder["key"], folder[$"bad{i}"]);
            }
        });
        Assert.Equal(code, new KernelCache(folder.Path).Get("key", () => code));
        Assert.Equal(["key"], Directory.GetFiles(folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void TheKeyIsOfAllThatTheCodeDependsOn()
    {
        string Key(KernelSource source, string architecture = "sm_80", string version = "12.8") =>
            KernelCache.Key(source, architecture, Version.Parse(version));
        string[] keys =
        [
            Key(Source), Key(Source, "sm_90a"), Key(Source, version: "13.0"), Key(Source with { Text = "other" }),
            Key(Source with { Defines = [] }), Key(Source with { Defines = ["A=2"] }), Key(Source with { Defines = ["A=1", "B=1"] }),
        ];
        Assert.Equal(keys.Length, keys.Distinct(StringComparer.Ordinal).Count());
        Assert.All(keys, key => Assert.Matches("^[0-9a-f]{64}$", key));
        Assert.Equal(Key(Source), Key(new KernelSource("renamed.cu", "code", "A=1")));
    }

    [Fact]
    public void TheFolderIsTheEnvironments()
    {
        string? Folder(params (string, string)[] variables) =>
            KernelCache.DefaultFolder(name => variables.FirstOrDefault(v => v.Item1 == name).Item2);
        Assert.Equal("/c/kernels", Folder(("LANDMARK_CACHE", "/c"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")));
        Assert.Equal("/x/landmarksharp/kernels", Folder(("LANDMARK_CACHE", ""), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")));
        Assert.Equal("/h/.cache/landmarksharp/kernels", Folder(("XDG_CACHE_HOME", "relative"), ("HOME", "/h")));
        Assert.Null(Folder());
    }

    private static void Replace(string path, string beside)
    {
        File.WriteAllText(beside, "damaged");
        File.Move(beside, path, overwrite: true);
    }

    private sealed class Counting(byte[] code)
    {
        public int Calls { get; private set; }

        public byte[] Compile()
        {
            Calls++;
            return code;
        }
    }
}
