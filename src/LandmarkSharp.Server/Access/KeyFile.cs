using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Server.Access;

/// <summary>A key as its file has it: whose it is, and nothing that lets one in.</summary>
/// <param name="Name">Who has it: memories, budgets and turns go by this name.</param>
/// <param name="Hash">SHA-256 of the key, in hexadecimal digits.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Expires">From when on it lets nobody in; null for never.</param>
/// <param name="Limits">What its holder may use at most.</param>
public sealed record ApiKey(
    string Name, string Hash, DateTimeOffset Created, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DateTimeOffset? Expires,
    CallerLimits Limits)
{
    /// <summary>Whether it lets its holder in.</summary>
    /// <param name="now">When it is asked.</param>
    public bool Holds(DateTimeOffset now) => Expires is not { } end || now < end;
}

/// <summary>A key file's content.</summary>
/// <param name="Version">Its version, 1.</param>
/// <param name="Keys">The keys.</param>
internal sealed record KeyList(int Version, IReadOnlyList<ApiKey> Keys);

/// <summary>
/// The keys that a server goes by, in a file of their owner alone. Of a key there is its hash: one SHA-256 is enough, for a key is 256 random
/// bits, and nobody guesses those however fast the hash. Slow hashes with salt are for passwords, which people choose.
/// </summary>
/// <example>
/// <code>
/// var file = new KeyFile("keys.json");
/// Console.WriteLine(file.Create("anna", new CallerLimits { TokensADay = 1_000_000 }, expires: null));
/// </code>
/// </example>
/// <param name="path">The file.</param>
public sealed partial class KeyFile(string path)
{
    private const string Prefix = "lmk-";                                                   // what scanners for lost secrets find
    private const int Version = 1, KeyBytes = 32;

    /// <summary>The file.</summary>
    public string Path => path;

    /// <summary>Reads the keys.</summary>
    /// <exception cref="LandmarkException">There is no such file, it is damaged, or others may read it.</exception>
    public IReadOnlyList<ApiKey> Read() => ReadIfThere() ?? throw new LandmarkException(
        $"There is no key file {path}; make it, with a key, by 'landmark keys create NAME --keys {path}'.");

    /// <summary>Makes a key.</summary>
    /// <param name="name">Who gets it: small letters, digits, '.', '_' and '-'.</param>
    /// <param name="limits">What its holder may use at most.</param>
    /// <param name="expires">From when on it lets nobody in; null for never.</param>
    /// <returns>The key, which can be had only now.</returns>
    /// <exception cref="LandmarkException">
    /// The name is taken or is none, a limit makes no sense, or the file cannot be read or written.
    /// </exception>
    public string Create(string name, CallerLimits limits, DateTimeOffset? expires)
    {
        if (!NameForm().IsMatch(name) || name == Caller.Local.Name)
            throw new LandmarkException(
                $"'{name}' is no name for a key; give up to 64 small letters, digits, '.', '_' and '-', a letter or digit first, and not '{Caller.Local.Name}'.");
        limits.Checked();
        var key = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(KeyBytes));
        Change(keys => keys.Any(k => k.Name == name)
            ? throw new LandmarkException($"There is a key '{name}' in {path} already; revoke that first, or choose another name.")
            : [.. keys, new ApiKey(name, Convert.ToHexStringLower(Hash(key)), DateTimeOffset.UtcNow, expires, limits)]);
        return key;
    }

    /// <summary>Takes a key out: from now on it lets nobody in.</summary>
    /// <exception cref="LandmarkException">There is none of that name, or the file cannot be read or written.</exception>
    public void Revoke(string name) => Change(keys => keys.Any(k => k.Name == name)
        ? [.. keys.Where(k => k.Name != name)]
        : throw new LandmarkException($"There is no key '{name}' in {path}; see 'landmark keys list --keys {path}'."));

    /// <summary>Tokens that each key's holder had read and generated today, by UTC; who had none is not there.</summary>
    /// <exception cref="LandmarkException">The file of them is damaged, or others may read it.</exception>
    public IReadOnlyDictionary<string, long> TokensToday() => TokenBudget.Used(path);

    /// <summary>The hash that a key is known by.</summary>
    internal static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    /// <summary>Makes sure that someone can get in.</summary>
    /// <exception cref="LandmarkException">No key holds, or the file cannot be read.</exception>
    internal void RequireKey()
    {
        if (!Read().Any(k => k.Holds(DateTimeOffset.UtcNow)))
            throw new LandmarkException($"No key in {path} holds, so nobody could ask; make one by 'landmark keys create NAME --keys {path}'.");
    }

    private IReadOnlyList<ApiKey>? ReadIfThere()
    {
        const string remedy = "restore it, or delete it and make new keys";
        var list = PrivateFile.Read(path, AccessJson.Default.KeyList, remedy);
        if (list is null) return null;
        var names = new HashSet<string>();
        return list.Version == Version && list.Keys.All(k =>
            k is { Name: var name, Hash: var hash } && NameForm().IsMatch(name) && HashForm().IsMatch(hash) && names.Add(name))
            ? list.Keys : throw new LandmarkException($"{path} is damaged; {remedy}.");
    }

    private void Change(Func<IReadOnlyList<ApiKey>, IReadOnlyList<ApiKey>> change)
    {
        PrivateFile.MakeFolder(path);
        using var alone = WriterLock.Take(path);
        PrivateFile.Write(path, new KeyList(Version, change(ReadIfThere() ?? [])), AccessJson.Default.KeyList);
    }

    /// <summary>Names serve as those of files too, so they are such on every disk.</summary>
    [GeneratedRegex("^[a-z0-9][a-z0-9._-]{0,63}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex NameForm();

    [GeneratedRegex("^[0-9a-f]{64}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex HashForm();
}
