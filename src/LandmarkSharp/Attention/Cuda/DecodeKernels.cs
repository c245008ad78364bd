using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>The kernels of <c>landmark_decode.cu</c> for so many heads in a unit, and what they take by value.</summary>
internal sealed class DecodeKernels
{
    private static readonly ConcurrentDictionary<(int Device, ScalarType Type, int HeadDim, int SharedHeads), DecodeKernels> Loaded = new();

    private DecodeKernels(int device, ScalarType type, int headDim, int sharedHeads)
    {
        var element = KernelTypes.Name(type);
        var module = CudaKernels.Module(
            KernelSource.FromResource("landmark_decode.cu", $"ELEMENT={element}", $"HEAD_DIM={headDim}", $"SHARED_HEADS={sharedHeads}"),
            device);
        (Miss, Scan) = (module.Kernel("landmark_miss"), module.Kernel("landmark_scan"));
        (Choose, Read) = (module.Kernel("landmark_choose"), module.Kernel("landmark_read"));
        var found = CudaDriver.Devices().Single(d => d.Index == device);
        Multiprocessors = found.Multiprocessors;

        // Of what a block can have, 8 KB and some more are the choice's own: Hopper and its successor have 227 KB, the others 99 or more.
        KeyBytes = (found.ComputeCapability.Major is 9 or 10 ? 200 : 80) << 10;
        StartsEarly = found.ComputeCapability.Major >= 9;
    }

    public CudaKernel Miss { get; }

    public CudaKernel Scan { get; }

    public CudaKernel Choose { get; }

    public CudaKernel Read { get; }

    /// <summary>Of the device.</summary>
    public int Multiprocessors { get; }

    /// <summary>Bytes of shared memory for the choice's keys.</summary>
    public int KeyBytes { get; }

    /// <summary>Whether a launch can start while the one before it ends.</summary>
    public bool StartsEarly { get; }

    /// <summary>Compiled at first use, then at hand.</summary>
    /// <exception cref="LandmarkException">The device cannot run the kernels.</exception>
    public static DecodeKernels Load(int device, ScalarType type, int headDim, int sharedHeads) =>
        Loaded.GetOrAdd((device, type, headDim, sharedHeads), static key => new(key.Device, key.Type, key.HeadDim, key.SharedHeads));

    /// <summary>A sequence in a layer: where its tensors lie, and its lengths.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Sequence
    {
        public long Blocks, Landmarks, Capacity;
        public int InMemory, Position;
    }

    /// <summary>Those of a launch.</summary>
    [InlineArray(DecodeShape.MostSequences)]
    public struct Sequences
    {
        private Sequence first;
    }

    /// <summary>What is alike for all of them.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Sizes
    {
        public int Heads, Groups, Repeat, Tokens, TopK, Splits, Parts, ChosenHeads, Tied, MostBlocks, SharedKeys;
        public float Scale, Enough, Cutoff;
    }
}
