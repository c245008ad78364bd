using System.Runtime.InteropServices;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>Three sizes; those left out are 1.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Dim3(uint X, uint Y = 1, uint Z = 1);

/// <summary>How many threads a kernel runs with, and how they are arranged.</summary>
/// <param name="Grid">Blocks of the grid.</param>
/// <param name="Block">Threads of a block.</param>
/// <param name="SharedBytes">Dynamic shared memory of a block in bytes.</param>
/// <param name="Cluster">Blocks of a cluster, each a divisor of the grid's; null for no clusters.</param>
/// <param name="Early">
/// Whether it may start while the kernel queued before it still runs (from Hopper on): it must wait for that one by itself,
/// before it touches what that one writes.
/// </param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct LaunchShape(Dim3 Grid, Dim3 Block, int SharedBytes = 0, Dim3? Cluster = null, bool Early = false);
