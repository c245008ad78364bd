using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>
/// A life of a memory file, made up from a seed: what a commit does depends on its number and on what is there, so what a file at any
/// commit should hold can be told without it.
/// </summary>
internal sealed class MemoryScript(MemoryModel model, ScalarType type, int seed)
{
    public static MemoryModel SmallModel { get; } = new("model", "tokenizer", Layers: 2, Heads: 2, HeadDim: 4, BlockTokens: 3);

    private static readonly string[] Names = ["a", "Krieg & Frieden", "", "红楼梦", "a\nb\"\\", "𝔘 \u0000 \u200b", "A", new string('n', 300)];

    private PlainStore store = new(model, type);
    private long sequence = 1;

    /// <summary>What a file should hold at a commit, which is not before that of the last call.</summary>
    public PlainStore At(long commit)
    {
        for (Assert.True(commit >= sequence); sequence < commit; sequence++) store = Step(store, null, sequence + 1);
        return store;
    }

    /// <summary>Takes a writer to its next commit.</summary>
    public void Next(MemoryFileWriter writer)
    {
        var before = writer.Sequence;
        Step(At(before), writer, before + 1);
        Assert.Equal(before + 1, writer.Sequence);
    }

    private PlainStore Step(PlainStore before, MemoryFileWriter? writer, long commit)
    {
        var random = new Random(HashOf(seed, commit));
        if (random.Next(6) == 0)
        {
            Change(before.Copy(), writer, random);
            writer?.Rollback();
        }
        var after = before.Copy();
        for (var i = random.Next(1, 4); i > 0; i--) Change(after, writer, random);
        if (random.Next(5) == 0) writer?.Compact();
        else writer?.Commit();
        return after;
    }

    private static void Change(PlainStore store, MemoryFileWriter? writer, Random random)
    {
        var (plain, entries) = random.Next(4) > 0 ? (store.Documents, writer?.Documents) : (store.Sessions, writer?.Sessions);
        var name = Names[random.Next(Names.Length)] + "x";
        var at = plain.FindIndex(e => e.Name == name);
        switch (at < 0 ? 0 : random.Next(1, 9))
        {
            case 0:
                var from = ReferenceEquals(plain, store.Sessions) && random.Next(2) == 0 ? "another" : null;
                plain.Add(new PlainStore.Entry(name, Complete: false, from, []));
                entries?.Add(name, from);
                break;
            case 1 or 2:
                plain.RemoveAt(at);
                entries?.Remove(name);
                break;
            case 3:
                plain[at] = plain[at].Complete ? plain[at] with { Next = new(name, Complete: false, plain[at].From, []) } : plain[at] with { Pieces = [] };
                entries?.Replace(name);
                break;
            case 4:
                plain[at] = (plain[at].Next ?? plain[at]) with { Complete = true };
                entries?.Complete(name);
                break;
            default:
                var written = plain[at].Next ?? plain[at];
                if (written.Complete) break;
                var piece = random.Next();
                entries?.Append(name, store.Piece(piece).Text, store.Piece(piece).Write);
                written = written with { Pieces = [.. written.Pieces.Where(p => store.Piece(p).Blocks > 0), piece] };
                plain[at] = plain[at].Next is null ? written : plain[at] with { Next = written };
                break;
        }
    }

    // HashCode is another in every process.
    private static int HashOf(int seed, long commit) => (int)(((((ulong)seed * 1_000_003) + (ulong)commit) * 0x9E3779B97F4A7C15) >> 33);
}
