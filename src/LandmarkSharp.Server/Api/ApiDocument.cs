using System.Text.Json.Serialization;
using LandmarkSharp.Server.Page;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace LandmarkSharp.Server.Api;

/// <summary>What the server answers to as an OpenAPI document, and as a page for people.</summary>
internal static class ApiDocument
{
    private const string Name = "v1", Page = "/openapi", Key = "key";

    /// <summary>Has it tell what endpoints do not say themselves: the title, errors, and the key.</summary>
    /// <param name="openApi">How it is made.</param>
    /// <param name="keyed">Whether requests need a key.</param>
    public static void Describe(OpenApiOptions openApi, bool keyed)
    {
        openApi.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "LandmarkSharp";
            if (!keyed) return Task.CompletedTask;
            document.AddComponent(Key, new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "A key of 'landmark keys create'." });
            document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Key, document)] = [] }];
            return Task.CompletedTask;
        });
        openApi.AddSchemaTransformer((schema, context, _) =>
        {
            // What is null is left out, but where the protocol has it said.
            foreach (var property in context.JsonTypeInfo.Properties)
                if (property.IsGetNullable && property.AttributeProvider?.IsDefined(typeof(JsonIgnoreAttribute), inherit: false) != true)
                    schema.Required?.Remove(property.Name);
            return Task.CompletedTask;
        });
        openApi.AddOperationTransformer(async (operation, context, cancel) =>
        {
            var schema = await context.GetOrCreateSchemaAsync(typeof(ErrorBody), cancellationToken: cancel);
            context.Document!.AddComponent(nameof(ErrorBody), schema);
            (operation.Responses ??= []).TryAdd("default", new OpenApiResponse
            {
                Description = "An error, of a status from 400 on: in one sentence what is wrong and what to do.",
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new() { Schema = new OpenApiSchemaReference(nameof(ErrorBody), context.Document) },
                },
            });
        });
    }

    /// <summary>Puts both in place.</summary>
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapOpenApi();
        app.MapGet(Page, async Task<IResult> ([FromKeyedServices(Name)] IOpenApiDocumentProvider provider, HttpContext http, CancellationToken cancel) =>
        {
            PageHosting.Permit(http);
            var document = await provider.GetOpenApiDocumentAsync(cancel);
            return new RazorComponentResult<ApiPage>(new Dictionary<string, object?> { [nameof(ApiPage.Document)] = document });
        }).ExcludeFromDescription();
    }

    /// <summary>Says that an endpoint takes bytes as they are, with a header or without.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="types">Media types of the bytes.</param>
    /// <param name="header">A header that it needs; null for none.</param>
    public static RouteHandlerBuilder TakesBytes(this RouteHandlerBuilder endpoint, IEnumerable<string> types, string? header = null) =>
        endpoint.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = types.ToDictionary(
                    type => type, _ => new OpenApiMediaType { Schema = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" } }),
            };
            if (header is not null)
                (operation.Parameters ??= []).Add(new OpenApiParameter
                {
                    Name = header,
                    In = ParameterLocation.Header,
                    Required = true,
                    Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int64" },
                });
            return Task.CompletedTask;
        });
}
