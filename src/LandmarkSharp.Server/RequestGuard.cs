using System.Net;
using LandmarkSharp.Server.Api;

namespace LandmarkSharp.Server;

/// <summary>
/// What stands before all endpoints: pages of other sites, which a browser on this machine would let in, are kept out; and whatever fails
/// is told in the protocol's form.
/// </summary>
/// <param name="options">By what names the server is asked.</param>
/// <param name="log">Told of what is refused.</param>
internal sealed class RequestGuard(ServerOptions options, ServerLog log)
{
    /// <summary>Lets a request through, or tells why not.</summary>
    public async Task Pass(HttpContext http, RequestDelegate next)
    {
        var headers = http.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-store";
        try
        {
            CheckHost(http.Request);
            CheckOrigin(http.Request);
            await next(http);
            if (!http.Response.HasStarted && http.Response.StatusCode >= 400 && http.Response.ContentLength is null && http.Response.ContentType is null)
                throw Nameless(http.Response.StatusCode);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            log.WentAway(http.Request.Path);
            if (!http.Response.HasStarted) http.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            var failure = e is BadHttpRequestException bad
                ? new RequestException(bad.StatusCode, "The request is no HTTP that this server reads; send it again.") : ErrorBody.Failure(e);
            if (failure.Code == "failed") log.AnswerFailed(e);
            log.Refused(http.Request.Path, failure.Status, failure.Code);
            await ErrorBody.Write(http, failure);
        }
    }

    /// <summary>
    /// A name that leads here but is not this server's may be an attacker's, who had it lead here for a page of theirs. An address that a
    /// browser was sent to is no name, so no page of another's has it for its own; one of another machine cannot be this server's where that
    /// listens to this machine alone.
    /// </summary>
    private void CheckHost(HttpRequest request)
    {
        var host = request.Host.Host;
        var isOwn = host == "localhost" || options.Hosts.Contains(host, StringComparer.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && (!options.IsLocal || IPAddress.IsLoopback(address)));
        if (isOwn) return;
        throw new RequestException(
            StatusCodes.Status403Forbidden, $"The host '{host}' is not this server's; ask its address, or a name that it was given by --host.",
            code: "wrong_host");
    }

    private static void CheckOrigin(HttpRequest request)
    {
        // By HTTPS too where a proxy ends that, and asks here without it.
        if (request.Headers.Origin.Any(origin => origin != $"{request.Scheme}://{request.Host}" && origin != $"https://{request.Host}"))
            throw new RequestException(
                StatusCodes.Status403Forbidden, "Pages of other sites may not use this server; ask it from a program.", code: "wrong_origin");
    }

    private static RequestException Nameless(int status) => status switch
    {
        StatusCodes.Status404NotFound => new RequestException(status, "There is nothing at this path; see /openapi for what there is."),
        StatusCodes.Status405MethodNotAllowed => new RequestException(status, "This path does not take this method; see /openapi."),
        StatusCodes.Status415UnsupportedMediaType => new RequestException(
            status, "The body is not said to be JSON; send it with 'Content-Type: application/json'."),
        _ => new RequestException(status, "The request is none that this server answers; see /openapi."),
    };
}
