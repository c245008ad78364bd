using System.Collections.Frozen;
using System.Security.Cryptography;
using LandmarkSharp.Server.Access;
using Microsoft.Net.Http.Headers;

namespace LandmarkSharp.Server.Page;

/// <summary>The page's scripts, styles and pictures, which are resources of the assembly. Their addresses have their hashes in them.</summary>
internal static class PageAssets
{
    private const string Resources = "page/";

    private static readonly FrozenDictionary<string, (byte[] Bytes, string Hash)> All = typeof(PageAssets).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(Resources, StringComparison.Ordinal)).ToFrozenDictionary(name => name[Resources.Length..], Read);

    /// <summary>Where an asset is.</summary>
    public static string Url(string name) => $"{KeyCookie.Assets}/{All[name].Hash}/{name}";

    /// <summary>Puts them in place: whatever has an address has it for good.</summary>
    public static void Map(IEndpointRouteBuilder app) => app.MapGet(
        KeyCookie.Assets + "/{hash}/{name}", (string hash, string name, HttpContext http) =>
        {
            if (!All.TryGetValue(name, out var asset) || hash != asset.Hash) return Results.NotFound();
            http.Response.Headers.CacheControl = "public, max-age=31536000, immutable";
            return Results.Bytes(asset.Bytes, Type(name), entityTag: new EntityTagHeaderValue($"\"{asset.Hash}\""));
        }).ExcludeFromDescription();

    private static (byte[] Bytes, string Hash) Read(string name)
    {
        using var stream = typeof(PageAssets).Assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return (bytes, Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8)));
    }

    private static string Type(string name) => Path.GetExtension(name) switch
    {
        ".js" => "text/javascript; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
}
