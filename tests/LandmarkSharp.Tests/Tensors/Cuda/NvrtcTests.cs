using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Tensors.Cuda;

public sealed class NvrtcTests
{
    /// <summary>An NVRTC whose machine code tells what it was given, and which fails at a source that says so.</summary>
    private const string Imitation = """
        #include <stdlib.h>
        #include <string.h>
        #include <stdio.h>
        static char code[1 << 20]; static const char* source; static char log_[] = "a remark\nk.cu(3): error: identifier \"x\" is undefined.\n1 error detected\n";
        int nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 2; return 0; }
        const char* nvrtcGetErrorString(int code) { return code == 5 ? "NVRTC_ERROR_INVALID_OPTION" : "NVRTC_ERROR_COMPILATION"; }
        int nvrtcCreateProgram(void** p, const char* text, const char* name, int n, const char** headers, const char** names) {
            source = text; sprintf(code, "%s:%s", name, text);
            for (int i = 0; i < n; i++) sprintf(code + strlen(code), "|%s=%zu", names[i], strlen(headers[i]));
            *p = malloc(1); return 0; }
        int nvrtcDestroyProgram(void** p) { free(*p); *p = 0; return 0; }
        int nvrtcCompileProgram(void* p, int n, const char** options) {
            for (int i = 0; i < n; i++) sprintf(code + strlen(code), "|%s", options[i]);
            return strstr(source, "wrong") ? 6 : strstr(source, "option") ? 5 : 0; }
        int nvrtcGetProgramLogSize(void* p, size_t* n) { *n = strstr(source, "option") ? 1 : sizeof log_; return 0; }
        int nvrtcGetProgramLog(void* p, char* log) { if (strstr(source, "option")) *log = 0; else memcpy(log, log_, sizeof log_); return 0; }
        int nvrtcGetCUBINSize(void* p, size_t* n) { *n = strlen(code); return 0; }
        int nvrtcGetCUBIN(void* p, char* cubin) { memcpy(cubin, code, strlen(code)); return 0; }
        """;

    [Fact]
    public void ASourceIsCompiledWithItsHeadersMacrosAndArchitecture()
    {
        using var folder = new TemporaryFolder();
        var nvrtc = Make(folder);
        Assert.Equal(new Version(13, 2), nvrtc.Version);
        var told = Encoding.UTF8.GetString(nvrtc.Compile(new KernelSource("k.cu", "größer", "WIDTH=64", "DEEP=1"), "sm_90a"));
        Assert.StartsWith($"k.cu:größer|{KernelSource.Headers[0].Name}=", told, StringComparison.Ordinal);
        Assert.EndsWith(
            "|--gpu-architecture=sm_90a|--std=c++17|--device-as-default-execution-space|--define-macro=WIDTH=64|--define-macro=DEEP=1", told, StringComparison.Ordinal);
        foreach (var header in KernelSource.Headers)
            Assert.Contains($"|{header.Name}={Encoding.UTF8.GetByteCount(header.Text)}", told, StringComparison.Ordinal);
    }

    [Fact]
    public void TheFirstErrorIsTold()
    {
        using var folder = new TemporaryFolder();
        var nvrtc = Make(folder);
        Assert.Equal(
            "The kernel k.cu does not compile for sm_80 with NVRTC 13.2: k.cu(3): error: identifier \"x\" is undefined.",
            Assert.Throws<LandmarkException>(() => nvrtc.Compile(new KernelSource("k.cu", "wrong"), "sm_80")).Message);
        Assert.Equal(
            "The kernel k.cu does not compile for sm_80 with NVRTC 13.2: NVRTC_ERROR_INVALID_OPTION.",
            Assert.Throws<LandmarkException>(() => nvrtc.Compile(new KernelSource("k.cu", "option"), "sm_80")).Message);
        Assert.Null(Nvrtc.FirstError("\n"));
        Assert.Equal("only words", Nvrtc.FirstError("\nonly words\nmore"));
    }

    [Fact]
    public void ItIsLookedForInEveryLayout()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in (string[])["torch/lib/libnvrtc-b51b459d.so.12", "torch/lib/libnvrtc-builtins.so.12.8",
            "torch/lib/libcaffe2_nvrtc.so", "nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc.alt.so.13",
            "nvidia/cu13/lib/libnvrtc-builtins.so.13.0", "nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "cuda/libnvrtc.so",
            "cuda/libnvrtc.so.11.2", "cuda/libnvrtc.so.13", "cuda/libnvrtc.so.13.0.48", "cuda/libnvrtc.so.14"])
            folder.Write(file, "");
        string[] folders = [folder["torch/lib"], folder["none"], folder["nvidia/cu13/lib"], folder["nvidia/cuda_nvrtc/lib"], folder["cuda"]];
        Assert.Equal(
            [
                folder["torch/lib/libnvrtc-b51b459d.so.12"], folder["nvidia/cu13/lib/libnvrtc.so.13"],
                folder["nvidia/cuda_nvrtc/lib/libnvrtc.so.12"], folder["cuda/libnvrtc.so.13"], folder["cuda/libnvrtc.so.13.0.48"],
                "libnvrtc.so.13", "libnvrtc.so.12",
            ],
            Nvrtc.Candidates(folders, new Version(13, 0)));
        // A driver runs no code of a later major version.
        Assert.DoesNotContain(Nvrtc.Candidates(folders, new Version(12, 8)), path => path.Contains(".so.13", StringComparison.Ordinal));
    }

    [Fact]
    public void ItsAbsenceIsExplained()
    {
        using var folder = new TemporaryFolder();
        // No system has an NVRTC of such a version.
        var e = Assert.Throws<LandmarkException>(() => Nvrtc.Load([folder.Path], new Version(11, 8)));
        Assert.Contains("was not found for a driver of CUDA 11.8", e.Message, StringComparison.Ordinal);
        Assert.Contains(folder.Path, e.Message, StringComparison.Ordinal);
        Compile(folder["libnvrtc.so.12"], "int other;");
        e = Assert.Throws<LandmarkException>(() => Nvrtc.Load([folder.Path], new Version(12, 8)));
        Assert.Contains("is no NVRTC that can be used: it has no nvrtcCreateProgram", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("8.0", "sm_80")]
    [InlineData("8.9", "sm_89")]
    [InlineData("9.0", "sm_90a")]
    [InlineData("10.0", "sm_100")]
    [InlineData("12.1", "sm_121")]
    public void ArchitecturesHaveTheCompilersNames(string capability, string name) =>
        Assert.Equal(name, Nvrtc.Architecture(Version.Parse(capability)));

    [Fact]
    public void KernelsShipInTheAssembly()
    {
        Assert.Contains(KernelSource.Headers, h => h.Name == "common.cuh");
        Assert.Contains("extern \"C\" __global__", KernelSource.FromResource("landmark_forward_plain.cu").Text, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => KernelSource.FromResource("no.cu"));
    }

    private static Nvrtc Make(TemporaryFolder folder)
    {
        Compile(folder["libnvrtc.so.13"], Imitation);
        // Its part lies beside it and is found by name alone.
        Compile(folder["libnvrtc-builtins.so.13.2"], "int part(void) { return 3; }", "-Wl,-soname,libnvrtc-builtins.so.13.2");
        var nvrtc = Nvrtc.Load([folder.Path], new Version(13, 0));
        Assert.True(NativeLibrary.TryLoad("libnvrtc-builtins.so.13.2", out _));
        return nvrtc;
    }

    private static void Compile(string library, string code, params string[] options)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/cc"), "There is no C compiler to make a library with.");
        File.WriteAllText(library + ".c", code);
        using var cc = Process.Start("/usr/bin/cc", ["-shared", "-fPIC", "-w", "-o", library, library + ".c", .. options]);
        cc.WaitForExit();
        Assert.Equal(0, cc.ExitCode);
    }
}
