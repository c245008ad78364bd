using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Cli;

/// <summary>
/// The folder of a small random landmark model whose tokens are single letters. Its heads are wide for its size, so that a
/// text's keys and values take 4 KB for each letter.
/// </summary>
public sealed class ToolModel : IDisposable
{
    private readonly TemporaryFolder folder = new();

    /// <summary>Makes the folder.</summary>
    public ToolModel()
        : this(layers: 2)
    {
    }

    /// <summary>Makes the folder of a deeper model.</summary>
    internal ToolModel(int layers)
    {
        TinyRun.WriteTokenizer(folder["tokenizer.model"]);
        var tokenizer = Tokenizer.Load(Path);
        var config = TinyModel.Config(blockTokens: 15, groups: 4);
        config = config with
        {
            VocabularySize = tokenizer.VocabularySize + 1,
            HeadDim = 64,
            Layers = layers,
            TokenizerFingerprint = tokenizer.Fingerprint,
            Landmark = config.Landmark! with { Id = tokenizer.VocabularySize },
        };
        using var decoder = TinyModel.Create(config);
        Checkpoint.Save(decoder, Path, ScalarType.Float32);
        using var text = File.CreateText(Text);
        for (var i = 0; i < 20; i++) text.Write($"Box {i} holds the key {i * 37}. ");
    }

    /// <summary>The folder.</summary>
    public string Path => folder.Path;

    /// <summary>A text file beside the model.</summary>
    public string Text => folder["text.txt"];

    /// <summary>A folder of its own with the model in it, to be spoilt.</summary>
    internal TemporaryFolder Copy()
    {
        var copy = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Path)) File.Copy(file, copy[System.IO.Path.GetFileName(file)]);
        return copy;
    }

    /// <summary>Writes a model's weights anew, changed.</summary>
    internal static void Rewrite(TemporaryFolder model, Action<Dictionary<string, Tensor>> change) =>
        Rewrite(model, "model.safetensors", change);

    /// <summary>Writes a file of tensors anew, changed.</summary>
    internal static void Rewrite(TemporaryFolder folder, string name, Action<Dictionary<string, Tensor>> change)
    {
        var path = folder[name];
        Dictionary<string, Tensor> tensors;
        using (var file = SafeTensorFile.Open(path)) tensors = file.Names.ToDictionary(n => n, n => file.Get(n).clone());
        change(tensors);
        SafeTensors.Write(path, tensors.Select(t => (t.Key, t.Value)));
        foreach (var tensor in tensors.Values) tensor.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => folder.Dispose();
}
