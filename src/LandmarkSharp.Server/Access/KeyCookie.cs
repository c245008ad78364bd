using Microsoft.Extensions.Primitives;

namespace LandmarkSharp.Server.Access;

/// <summary>
/// A key as a browser keeps it: out of reach of scripts, sent to this server alone and never for another site's page. What it sends along is
/// worth what the header of a program is, for requests of other origins are refused before.
/// </summary>
internal static class KeyCookie
{
    /// <summary>The page, which asks for a key where there is none.</summary>
    public const string Page = "/";

    /// <summary>Where a key is given, and forgotten.</summary>
    public const string Give = "/page/key", Forget = "/page/key/forget";

    /// <summary>What stands on the page whoever looks at it: scripts and styles.</summary>
    public const string Assets = "/page/assets";

    private const string Name = "landmark-key";
    private const int MostCharacters = 256;

    /// <summary>Whether no key is needed at a path.</summary>
    public static bool IsFree(PathString path) => path == Give || path == Forget || path.StartsWithSegments(Assets);

    /// <summary>Whether it is the page that is looked at.</summary>
    public static bool IsPage(HttpRequest request) => request.Path == Page && HttpMethods.IsGet(request.Method);

    /// <summary>The header that a program sends, or what stands for it where a browser sends a cookie.</summary>
    public static StringValues Authorization(HttpRequest request) =>
        request.Headers.Authorization.Count == 0 && request.Cookies[Name] is { Length: > 0 } key ? $"Bearer {key}" : request.Headers.Authorization;

    /// <summary>Puts giving and forgetting in place.</summary>
    /// <param name="app">The server.</param>
    /// <param name="ring">The keys.</param>
    public static void Map(IEndpointRouteBuilder app, KeyRing ring)
    {
        app.MapPost(Give, async (HttpContext http) =>
        {
            var key = (await http.Request.ReadFormAsync(http.RequestAborted))["key"].ToString().Trim();
            try
            {
                ring.Authenticate($"Bearer {key}");
            }
            catch (RequestException e) when (e.Status == StatusCodes.Status401Unauthorized)
            {
                return Results.Redirect($"{Page}?wrong");
            }
            if (key.Length <= MostCharacters) http.Response.Cookies.Append(Name, key, Options(http));
            return Results.Redirect(Page);
        }).ExcludeFromDescription();
        app.MapPost(Forget, (HttpContext http) =>
        {
            http.Response.Cookies.Delete(Name, Options(http));
            return Results.Redirect(Page);
        }).ExcludeFromDescription();
    }

    private static CookieOptions Options(HttpContext http) =>
        new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = http.Request.IsHttps, Path = "/", IsEssential = true };
}

/// <summary>Marks a request for the page that comes without a key that holds.</summary>
/// <param name="Refusal">What a program would be told.</param>
internal sealed record KeyNeeded(RequestException Refusal);
