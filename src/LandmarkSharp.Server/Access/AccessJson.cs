using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Access;

/// <summary>What the files of keys and of the day's tokens are as JSON: strict, since nobody but this library writes them.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowDuplicateProperties = false, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true, WriteIndented = true)]
[JsonSerializable(typeof(KeyList))]
[JsonSerializable(typeof(DayTokens))]
internal sealed partial class AccessJson : JsonSerializerContext;
