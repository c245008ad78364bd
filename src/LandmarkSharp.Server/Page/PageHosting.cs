using System.Diagnostics.CodeAnalysis;
using LandmarkSharp.Server.Access;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;

namespace LandmarkSharp.Server.Page;

/// <summary>The page among the server's endpoints: rendered here, and kept up to date over a connection that the browser holds.</summary>
[UnconditionalSuppressMessage(
    "Trimming", "IL2026", Justification = "Components are found by reflection: a program that is trimmed keeps this assembly and the framework's whole.")]
internal static class PageHosting
{
    // A page's script, styles and connection are this server's, and nothing of them stands in the page itself.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; "
        + "frame-ancestors 'none'";

    private const long MostMessage = 256 << 10;                                             // the longest question, whatever its characters

    /// <summary>Adds what the page takes.</summary>
    /// <param name="services">The server's services.</param>
    /// <param name="parts">What it works with, when it is first asked for.</param>
    public static void AddPage(this IServiceCollection services, Func<PageParts> parts)
    {
        services.AddRazorComponents().AddInteractiveServerComponents().AddHubOptions(hub => hub.MaximumReceiveMessageSize = MostMessage);
        services.AddSingleton(_ => parts()).AddScoped<PageScript>();
        services.Configure<KeyManagementOptions>(keys => (keys.XmlRepository, keys.XmlEncryptor) = (new PageKeys(), new NullXmlEncryptor()));
    }

    /// <summary>Lets a page have its script and styles.</summary>
    public static void Permit(HttpContext http) => http.Response.Headers.ContentSecurityPolicy = Policy;

    /// <summary>Puts it in place, at the root.</summary>
    /// <param name="app">The server.</param>
    /// <param name="parts">What it works with; null where there are no memories, and so no page.</param>
    public static void MapPage(this WebApplication app, PageParts? parts)
    {
        PageAssets.Map(app);
        if (parts is null)
        {
            app.MapGet(KeyCookie.Page, void (HttpContext http) => throw http.Features.Get<KeyNeeded>()?.Refusal ?? new RequestException(
                StatusCodes.Status404NotFound, "The page needs a folder for its memories; start the server with --memories FOLDER.")).ExcludeFromDescription();
            return;
        }
        app.UseWhen(http => http.Request.Path == KeyCookie.Page, page => page.Use((http, next) =>
        {
            Permit(http);
            http.Response.Headers["Referrer-Policy"] = "same-origin";                       // or a form of the page would not say where it is from
            return next(http);
        }));
        app.UseAntiforgery();
        app.MapGet(SessionExport.Path, (HttpContext http, string id, string form) =>
            SessionExport.Of(new SessionFiles(parts.Options, Caller.Of(http).Name).Find(id), form)).ExcludeFromDescription();
        if (parts.Keys is { } keys) KeyCookie.Map(app, keys);
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options =>
        {
            options.DisableWebSocketCompression = true;
            options.ContentSecurityFrameAncestorsPolicy = null;                             // the policy says it
        });
    }
}
