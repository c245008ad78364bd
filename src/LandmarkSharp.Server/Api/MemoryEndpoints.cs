using System.Runtime.CompilerServices;
using System.Text.Json;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Memories;
using Microsoft.AspNetCore.Http.Features;

namespace LandmarkSharp.Server.Api;

/// <summary>Memories over HTTP.</summary>
/// <param name="library">The memories.</param>
internal sealed class MemoryEndpoints(MemoryLibrary library)
{
    private const string OffsetHeader = "Upload-Offset";
    private const int MostFound = 100, UnaskedFound = 5, MostPassages = 64, MostQuery = 8192;

    /// <summary>Puts them in place.</summary>
    public void Map(IEndpointRouteBuilder app)
    {
        var all = app.MapGroup("/v1/memories").WithTags("Memories");
        all.MapGet("", (HttpContext http) => TypedResults.Json(Shelf(http).All(), Protocol.Json.MemoryList)).Produces<MemoryList>()
            .WithSummary("Lists memories.");
        all.MapPost("", Create).Accepts<MemoryRequest>("application/json").Produces<MemoryInfo>(StatusCodes.Status201Created)
            .WithSummary("Makes a memory with nothing in it.");
        all.MapGet("/{name}", (HttpContext http, string name) => TypedResults.Json(Shelf(http).Describe(name), Protocol.Json.MemoryInfo))
            .Produces<MemoryInfo>().WithSummary("Tells of a memory and its documents.");
        all.MapDelete("/{name}", Delete).Produces(StatusCodes.Status204NoContent).WithSummary("Deletes a memory.");
        all.MapPost("/{name}/search", Search).Accepts<SearchRequest>("application/json").Produces<SearchResponse>()
            .WithSummary("Ranks documents by what a question reads of them.");

        new SessionEndpoints(library).Map(all);

        var documents = all.MapGroup("/{name}/documents/{document}");
        documents.MapPut("", Put).TakesBytes(DocumentConversion.MediaTypes).Produces<DocumentInfo>(StatusCodes.Status202Accepted)
            .WithSummary("Adds a document, or replaces one.");
        documents.MapGet("", (HttpContext http, string name, string document) =>
            TypedResults.Json(Shelf(http).Document(name, MemoryNames.Unescaped(document)), Protocol.Json.DocumentInfo)).Produces<DocumentInfo>()
            .WithSummary("Tells of a document.");
        documents.MapDelete("", Remove).Produces(StatusCodes.Status204NoContent).WithSummary("Removes a document.");
        documents.MapGet("/events", Events).Produces<DocumentInfo>(contentType: "text/event-stream").WithSummary("Tells how far a document's reading is, until it is done.");
        documents.MapGet("/text", Text).Produces<string>(contentType: "text/plain").WithSummary("Gives a document's text, or some bytes of it.");

        var uploads = all.MapGroup("/{name}/uploads");
        uploads.MapPost("", BeginUpload).Accepts<UploadRequest>("application/json").Produces<UploadInfo>(StatusCodes.Status201Created)
            .WithSummary("Begins to upload a document in pieces.");
        uploads.MapGet("/{id}", async (HttpContext http, string name, string id) =>
            Told(http, await Uploads(http).Describe(name, id), StatusCodes.Status200OK)).Produces<UploadInfo>().WithSummary("Tells how far an upload is.");
        uploads.MapPatch("/{id}", Append).TakesBytes(["application/octet-stream"], OffsetHeader).Produces<UploadInfo>().WithSummary("Goes on with an upload.");
        uploads.MapDelete("/{id}", (HttpContext http, string name, string id) =>
        {
            Uploads(http).Remove(name, id);
            return TypedResults.NoContent();
        }).WithSummary("Gives an upload up.");
    }

    private MemoryShelf Shelf(HttpContext http) => library.Of(Caller.Of(http));

    private Uploads Uploads(HttpContext http) => new(Shelf(http));

    private async Task<IResult> Create(HttpContext http, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.MemoryRequest, cancel);
        NeutralFields.Check(request.Others);
        var made = Shelf(http).Create(request.Name, request.BlockType);
        return TypedResults.Json(made, Protocol.Json.MemoryInfo, statusCode: StatusCodes.Status201Created);
    }

    private async Task<IResult> Delete(HttpContext http, string name)
    {
        await Shelf(http).Delete(name);
        return TypedResults.NoContent();
    }

    private async Task<IResult> Put(HttpContext http, string name, string document, CancellationToken cancel)
    {
        Unbound(http);
        var told = await Uploads(http).Put(name, MemoryNames.Unescaped(document), http.Request.ContentType, http.Request.Body, http.Request.ContentLength, cancel);
        return TypedResults.Json(told, Protocol.Json.DocumentInfo, statusCode: StatusCodes.Status202Accepted);
    }

    private async Task<IResult> Remove(HttpContext http, string name, string document)
    {
        await Shelf(http).Remove(name, MemoryNames.Unescaped(document));
        return TypedResults.NoContent();
    }

    private IResult Events(HttpContext http, string name, string document, CancellationToken cancel)
    {
        var shelf = Shelf(http);
        shelf.Document(name, MemoryNames.Unescaped(document));                                              // what is not there has a status of its own
        return TypedResults.ServerSentEvents(Told(shelf.Follow(name, MemoryNames.Unescaped(document), cancel), cancel));
    }

    private static async IAsyncEnumerable<string> Told(IAsyncEnumerable<DocumentInfo> all, [EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (var told in all.WithCancellation(cancel)) yield return JsonSerializer.Serialize(told, Protocol.Json.DocumentInfo);
    }

    private async Task Text(HttpContext http, string name, string document, string? from, string? to, CancellationToken cancel)
    {
        static long? Byte(string? said, string field) => said is null ? null : long.TryParse(said, out var at) ? at
            : throw RequestException.Field(field, $"The field '{field}' must be the number of a byte; send such, or leave it out.");
        foreach (var piece in Shelf(http).Text(name, MemoryNames.Unescaped(document), Byte(from, "from") ?? 0, Byte(to, "to")))
        {
            if (!http.Response.HasStarted) http.Response.ContentType = "text/plain; charset=utf-8";
            await http.Response.Body.WriteAsync(piece, cancel);
        }
    }

    private async Task<IResult> Search(HttpContext http, string name, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.SearchRequest, cancel);
        NeutralFields.Check(request.Others);
        if (string.IsNullOrWhiteSpace(request.Query) || request.Query.Length > MostQuery)
            throw RequestException.Field("query", $"The field 'query' must be a question of up to {MostQuery} characters; send one.");
        SamplingRequest.Within("top", request.Top, 1, MostFound);
        SamplingRequest.Within("passages", request.Passages, 0, MostPassages);
        var caller = Caller.Of(http);
        var found = await library.Search(caller, caller.Client(http), [name], request.Query, request.Passages ?? 1, cancel);
        return TypedResults.Json(new SearchResponse([.. found.Take(request.Top ?? UnaskedFound)]), Protocol.Json.SearchResponse);
    }

    private async Task<IResult> BeginUpload(HttpContext http, string name, CancellationToken cancel)
    {
        var request = await RequestBody.Read(http, Protocol.Json.UploadRequest, cancel);
        NeutralFields.Check(request.Others);
        return Told(http, Uploads(http).Begin(name, request.Document, request.Bytes, request.Sha256, request.MediaType), StatusCodes.Status201Created);
    }

    private async Task<IResult> Append(HttpContext http, string name, string id, CancellationToken cancel)
    {
        Unbound(http);
        var uploads = Uploads(http);
        var before = await uploads.Describe(name, id);
        if (!long.TryParse(http.Request.Headers[OffsetHeader], out var offset))
            throw RequestException.Field(
                OffsetHeader, $"The header '{OffsetHeader}' must be the number of bytes that are there, {before.Offset}; send it.");
        http.Response.Headers[OffsetHeader] = before.Offset.ToString();                     // where to go on, if this is refused
        return Told(http, await uploads.Append(name, id, offset, http.Request.Body, cancel), StatusCodes.Status200OK);
    }

    private static IResult Told(HttpContext http, UploadInfo upload, int status)
    {
        http.Response.Headers[OffsetHeader] = upload.Offset.ToString();
        return TypedResults.Json(upload, Protocol.Json.UploadInfo, statusCode: status);
    }

    /// <summary>Documents have a bound of their own, which is that of the library.</summary>
    private static void Unbound(HttpContext http) => http.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize = null;
}
