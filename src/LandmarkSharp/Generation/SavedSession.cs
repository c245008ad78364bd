using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Generation;

/// <summary>A session as it lies in a memory file, or as it stands in another that goes on.</summary>
/// <param name="Name">Its name; null for none.</param>
/// <param name="Held">Its tokens whose keys and values are there: whole blocks.</param>
/// <param name="Waiting">Those after them, one at least: what they predict is not kept, so they are computed again.</param>
/// <param name="Blocks">Blocks that are there.</param>
/// <param name="Read">Reads a layer's into a memory, after so many that are there.</param>
/// <param name="Version">Tells it from others of its name in a memory file; null for one that lies in none.</param>
/// <param name="Changes">How the documents differ from those that it had read; null where it is not known what it had.</param>
internal sealed record SavedSession(
    string? Name, int[] Held, int[] Waiting, int Blocks, Action<int, LayerBlocks, long> Read, DocumentVersion? Version = null, DocumentChanges? Changes = null)
{
    /// <summary>Finds one.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="name">Its name.</param>
    /// <param name="newer">
    /// One of the memory's files as it is now, where the session may have been saved since the memory was opened; to be closed when it is read.
    /// </param>
    /// <exception cref="LandmarkException">There is none of that name, or its tokens are damaged.</exception>
    public static SavedSession Find(OpenMemory memory, string name, MemoryFile? newer = null)
    {
        var entry = (newer?.Sessions.Where(s => s.Complete) ?? memory.Sessions).FirstOrDefault(s => s.Name == name) ?? throw new LandmarkException(
            $"There is no session {MemoryDamage.Quote(name)} in the memory; check the name, or open the memory anew if it was saved since.");
        var file = newer ?? memory.FileOf(entry);
        int[] tokens = [.. entry.Segments.SelectMany(s => file.ReadText(s).Tokens)];
        var blocks = (tokens.Length - 1) / memory.Model.BlockTokens;
        var held = blocks * memory.Model.BlockTokens;
        return new SavedSession(name, tokens[..held], tokens[held..], blocks, (layer, into, first) =>
            SavedBlocks.Read(file, entry.Segments[0], layer, blocks, into, first),
            entry.Version, entry.Read is { } read ? DocumentChanges.Between(read, memory.Versions) : null);
    }
}
