using System.Diagnostics;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Tests.Tensors;

public sealed class LibTorchLoaderTests
{
    [Theory]
    [InlineData(false, Architecture.X64, "win-x64", "This is win-x64, and")]
    [InlineData(true, Architecture.Arm64, "linux-arm64", "This is linux-arm64, and")]
    [InlineData(true, Architecture.X64, "linux-musl-x64", "a Linux on musl")]
    public void OtherPlatformsAreNamed(bool linux, Architecture architecture, string runtime, string expected)
    {
        var e = Assert.Throws<LandmarkException>(() => LibTorchLoader.CheckPlatform(linux, architecture, runtime));
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, 10, 0, true)]
    [InlineData(2, 11, 3, true)]
    [InlineData(2, 12, 1, true)]
    [InlineData(2, 9, 1, false)]
    [InlineData(2, 13, 0, false)]
    [InlineData(3, 0, 0, false)]
    [InlineData(0, 0, 0, false)]
    public void VersionsInsideTheRangeAreTaken(int major, int minor, int patch, bool taken)
    {
        var abi = ((ulong)major << 56) | ((ulong)minor << 48) | ((ulong)patch << 40);
        if (taken)
        {
            Assert.Equal(new Version(major, minor, patch), LibTorchLoader.CheckVersion(abi, "/some/lib"));
            return;
        }

        var e = Assert.Throws<LandmarkException>(() => LibTorchLoader.CheckVersion(abi, "/some/lib"));
        Assert.StartsWith("The libtorch in /some/lib is ", e.Message, StringComparison.Ordinal);
        Assert.Contains("2.10, 2.11 or 2.12", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /a/b.so)", "newer libstdc++")]
    [InlineData("/lib/libc.so.6: version `GLIBC_2.38' not found (required by /a/b.so)", "newer glibc")]
    [InlineData("libcudart.so.13: cannot open shared object file: No such file or directory", "needs libcudart.so.13,")]
    [InlineData("/a/b.so: undefined symbol: _ZN3c104implE", "does not fit the libraries")]
    [InlineData("/a/b.so: file too short", "cannot be loaded: /a/b.so: file too short")]
    public void TheLinkersWordsBecomeAdvice(string error, string expected)
    {
        var text = LibTorchLoader.Explain("/a/b.so", error);
        Assert.StartsWith("/a/b.so ", text, StringComparison.Ordinal);
        Assert.Contains(expected, text, StringComparison.Ordinal);
    }

    [Fact]
    public void AFolderWithoutLibTorchIsNamedWithWhereItCameFrom()
    {
        using var folder = new TemporaryFolder();
        var e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Choose(folder.Path, "/elsewhere", inUse: null));
        Assert.StartsWith($"The folder {folder.Path} holds no libtorch", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Choose(null, "/no/such/folder", inUse: null));
        Assert.StartsWith(
            "The folder of LANDMARK_LIBTORCH, /no/such/folder holds no libtorch", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheFolderOrItsLibIsTaken()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["lib"]);
        File.WriteAllText(folder["lib/libtorch_cpu.so"], "");
        Assert.Equal(folder["lib"], LibTorchLoader.Choose(folder.Path, null, inUse: null));
        Assert.Equal(folder["lib"], LibTorchLoader.Choose(null, folder["lib/"], inUse: null));
        Assert.Equal(LibTorchFolders.BesideProgram(), LibTorchLoader.Choose(null, "", inUse: null));
    }

    [Fact]
    public void ALibraryThatIsMissingOrBrokenIsNamed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["libtorch_cpu.so"], "");
        var e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Preload(folder.Path));
        Assert.StartsWith($"{folder["libc10.so"]} is missing beside", e.Message, StringComparison.Ordinal);
        File.WriteAllText(folder["libc10.so"], "not a library");
        e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Preload(folder.Path));
        Assert.StartsWith($"{folder["libc10.so"]} cannot be loaded", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherVersionIsRefused()
    {
        using var folder = new TemporaryFolder();
        Compile(folder["libc10.so"], "");
        Compile(
            folder["libtorch_cpu.so"],
            "unsigned long long aoti_torch_abi_version(void) { return 2ull << 56 | 13ull << 48; }");
        var e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Preload(folder.Path));
        Assert.Equal(
            $"The libtorch in {folder.Path} is version 2.13.0, and PyTorch 2.10, 2.11 or 2.12 is needed.", e.Message);

        using var older = new TemporaryFolder();
        Compile(older["libc10.so"], "");
        Compile(older["libtorch_cpu.so"], "");
        e = Assert.Throws<LandmarkException>(() => LibTorchLoader.Preload(older.Path));
        Assert.Contains("is older than 2.9", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NeedsAreFoundInPipsFolders()
    {
        // site-packages/torch/lib/libtop.so needs site-packages/nvidia/cu13/lib/libdeep.so and names no folder for it.
        using var folder = new TemporaryFolder();
        var torch = Directory.CreateDirectory(folder["torch/lib"]).FullName;
        var nvidia = Directory.CreateDirectory(folder["nvidia/cu13/lib"]).FullName;
        var deep = $"landmark{Guid.NewGuid():N}";
        Compile(Path.Combine(nvidia, $"lib{deep}.so"), "int deep(void) { return 42; }", $"-Wl,-soname,lib{deep}.so");
        var top = Path.Combine(torch, "libtop.so");
        Compile(top, "int deep(void); int top(void) { return deep(); }", "-L" + nvidia, "-l" + deep);

        Assert.Contains(nvidia, LibTorchFolders.WithLibraries(torch), StringComparer.Ordinal);
        var error = LibTorchLoader.Open(top, [torch], out _);
        Assert.Equal($"lib{deep}.so", LibTorchLoader.MissingLibrary(error!));
        Assert.Null(LibTorchLoader.Open(top, [.. LibTorchFolders.WithLibraries(torch)], out var handle));
        unsafe
        {
            Assert.Equal(42, ((delegate* unmanaged<int>)NativeLibrary.GetExport(handle, "top"))());
        }
    }

    private static void Compile(string library, string code, params string[] options)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/cc"), "There is no C compiler to make a library with.");
        var source = library + ".c";
        File.WriteAllText(source, code);
        using var cc = Process.Start("/usr/bin/cc", ["-shared", "-fPIC", "-o", library, source, .. options]);
        cc.WaitForExit();
        Assert.Equal(0, cc.ExitCode);
        File.Delete(source);
    }
}
