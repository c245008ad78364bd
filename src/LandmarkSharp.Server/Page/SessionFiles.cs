using System.Text.Encodings.Web;
using System.Text.Json;

namespace LandmarkSharp.Server.Page;

/// <summary>A caller's conversations, a file each beside its memories.</summary>
/// <param name="options">Where memories are.</param>
/// <param name="caller">The name of whose they are.</param>
internal sealed class SessionFiles(ServerOptions options, string caller)
{
    private const string Suffix = ".json";

    // For files, which are no web pages: characters stand there as they are.
    private static readonly PageJson Json = new(new JsonSerializerOptions(PageJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    private readonly string folder = Path.Combine(options.Memories!, caller, ".conversations");

    /// <summary>All of them, the last one first.</summary>
    public IReadOnlyList<PageSession> All() => !Directory.Exists(folder) ? [] :
        [.. Directory.EnumerateFiles(folder, "*" + Suffix).Select(Read).OfType<PageSession>().OrderByDescending(s => s.Changed)];

    /// <summary>One; null where there is none.</summary>
    public PageSession? Find(string id) => Guid.TryParseExact(id, "N", out _) && File.Exists(PathOf(id)) ? Read(PathOf(id)) : null;

    /// <summary>Keeps one; its file has its name when it is whole.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Save(PageSession session)
    {
        var partial = PathOf(session.Id) + ".new";
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(partial, Bytes(session));
            File.Move(partial, PathOf(session.Id), overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException("The conversation cannot be kept: the server's disk refuses; ask who runs it, and export it until then.", e);
        }
    }

    /// <summary>One as JSON.</summary>
    public static byte[] Bytes(PageSession session) => JsonSerializer.SerializeToUtf8Bytes(session, Json.PageSession);

    /// <summary>Deletes one.</summary>
    public void Remove(string id) => File.Delete(PathOf(id));

    private string PathOf(string id) => Path.Combine(folder, id + Suffix);

    private static PageSession? Read(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            return JsonSerializer.Deserialize(file, Json.PageSession) is { } read && read.Id == Path.GetFileNameWithoutExtension(path) ? read : null;
        }
        catch (Exception e) when (e is JsonException or FileNotFoundException)
        {
            return null;                                                                    // none of ours, or gone meanwhile
        }
    }
}
