using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>Numbers of a matrix by rows, or by columns when <paramref name="step"/> is the longer way.</summary>
/// <param name="data">The first number.</param>
/// <param name="row">From one row to the next.</param>
/// <param name="step">From one number of a row to the next.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Matrix(float* data, nint row, nint step = 1)
{
    public float* Data => data;

    public nint Row => row;

    public nint Step => step;

    public Matrix Transposed => new(data, step, row);
}
