namespace LandmarkSharp.Text;

/// <summary>Finds a tokenizer's files and puts the tokenizer together.</summary>
internal static class TokenizerFiles
{
    public static Tokenizer Load(string path)
    {
        if (Directory.Exists(path))
        {
            var file = Path.Combine(path, "tokenizer.model");
            if (File.Exists(file)) return Load(file);
            throw new LandmarkException(
                $"The folder '{path}' holds no tokenizer (neither tokenizer.json nor tokenizer.model); give a model folder that has one.");
        }
        if (!File.Exists(path))
            throw new LandmarkException($"There is no tokenizer at '{path}'; give a model folder, a tokenizer.json or a SentencePiece .model file.");
        return new Tokenizer(SentencePieceModel.Read(File.ReadAllBytes(path), path));
    }
}
