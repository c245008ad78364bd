using System.Security.Cryptography;
using System.Text;
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
    public static string Of(Decoder decoder)
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
            var numbers = parameter.flatten();
            var (count, each) = (numbers.shape[0], PlaceBytes / numbers.element_size());
            for (var place = 0; place < Places; place++)
            {
                var first = Math.Max(0, count - each) * place / (Places - 1);
                hash.AppendData(numbers.narrow(0, first, Math.Min(each, count)).cpu().contiguous().bytes);
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
