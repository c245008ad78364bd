using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>What the kernels of prefill take by value, as their structures lie (<c>prefill.cuh</c>): in order, each field at a multiple of its size.</summary>
internal static class PrefillArguments
{
    /// <summary>What is alike for all launches of a layer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Sizes
    {
        public int Heads, Groups, Queries, TopK, ChosenHeads, PerWindow, Choices, Tied, InMemory, WindowBlocks, Before;
        public long QueryHead, QueryPosition, LandmarkGroup;
        public float Scale, Enough, Cutoff;
    }

    /// <summary>Queries that are scanned at a time.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Part
    {
        public int From, To, FirstWindow, Stride;
    }

    /// <summary>Chosen blocks that are read at a time.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Pairs
    {
        public int FirstHead, Count, Lists, MostBlocks;
    }
}
