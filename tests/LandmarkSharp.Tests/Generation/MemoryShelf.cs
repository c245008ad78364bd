using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>A small model, and memory files that are made with it.</summary>
public abstract class MemoryShelf : IDisposable
{
    protected const string Question = "which of them was it. ";

    internal TemporaryFolder Folder { get; } = new();

    protected LandmarkEngine Engine { get; } = TinyEngine.Create(MadeMemory.Config, marks: true);

    public void Dispose()
    {
        Engine.Dispose();
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    protected static (int[] Tokens, long[][] Blocks) Answer(Session session)
    {
        session.Append(Question);
        var tokens = session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 40, StopAtEndOfText = false, RecordReads = true }).ToArray();
        return ([.. tokens.Select(t => t.Id)], [.. tokens.Select(t => t.Reads!.Blocks.ToArray())]);
    }

    protected string Make(string name, ScalarType type, params (string Name, string Text)[] documents) => Make(name, type, Engine, documents);

    protected string Make(string name, ScalarType type, LandmarkEngine reading, params (string Name, string Text)[] documents) =>
        MadeMemory.Make(Folder[name], reading, type, documents, TimeSpan.Zero);
}
