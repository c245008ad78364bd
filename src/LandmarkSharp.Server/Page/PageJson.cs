using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Page;

/// <summary>Conversations as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(PageSession))]
internal sealed partial class PageJson : JsonSerializerContext;
