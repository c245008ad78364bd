using System.Security.Cryptography;
using System.Text;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// What tells a model from others whose keys and values would be different: a hash (SHA-256) of the type that it computes in, of the
/// fields of its configuration that change what it computes, and of each parameter's name, type, shape and 4,096 bytes, spread over it.
/// Not all bytes: telling models apart must not take reading them.
/// </summary>
internal static class ModelFingerprint
{
    private const int Places = 16, PlaceBytes = 256;

    /// <summary>The fingerprint, in lower-case hexadecimal.</summary>
    public static unsafe string Of(Decoder decoder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // How it is read, asked and ended is no matter of keys and values.
        var config = decoder.Config with
        {
            MaxPositions = 0,
            BosId = null,
            EosIds = [],
            TokenizerFingerprint = null,
            BaseFingerprint = null,
            Landmark = decoder.Config.Landmark is { } l
                ? l with { TopK = 1, WindowPositions = l.BlockLength, MissCutoff = 0, TrainContext = 0, Loss = LandmarkLoss.Ignored } : null,
        };
        hash.AppendData(Encoding.UTF8.GetBytes($"{decoder.ComputeType} {ConfigFile.Write(config).ToJsonString()}\n"));
        using var quiet = no_grad();
        foreach (var (name, parameter) in decoder.Parameters)
        {
            using var scope = NewDisposeScope();
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {parameter.dtype} {string.Join(' ', parameter.shape)}\n"));
            var numbers = parameter.contiguous().flatten();
            var (count, size) = (numbers.shape[0], numbers.element_size());
            var (each, isHere) = (PlaceBytes / size, numbers.device.type == DeviceType.CPU);
            for (var place = 0; place < Places; place++)
            {
                var (first, some) = (Math.Max(0, count - each) * place / (Places - 1), (int)Math.Min(each, count));
                hash.AppendData(isHere
                    ? new ReadOnlySpan<byte>((byte*)Aten.DataPointer(numbers) + (first * size), some * (int)size)      // each question asks for it
                    : numbers.narrow(0, first, some).cpu().bytes);
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
