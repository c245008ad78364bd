using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Api;

/// <summary>What the protocol's messages are as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowDuplicateProperties = false)]
[JsonSerializable(typeof(CompletionRequest))]
[JsonSerializable(typeof(CompletionResponse))]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ChatResponse))]
[JsonSerializable(typeof(ModelInfo))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(MemoryRequest))]
[JsonSerializable(typeof(MemoryInfo))]
[JsonSerializable(typeof(MemoryList))]
[JsonSerializable(typeof(DocumentInfo))]
[JsonSerializable(typeof(UploadRequest))]
[JsonSerializable(typeof(UploadInfo))]
[JsonSerializable(typeof(SearchRequest))]
[JsonSerializable(typeof(SearchResponse))]
[JsonSerializable(typeof(SessionRequest))]
[JsonSerializable(typeof(SessionInfo))]
[JsonSerializable(typeof(SessionList))]
[JsonSerializable(typeof(IncomingRecord))]
internal sealed partial class ApiJson : JsonSerializerContext;

/// <summary>How the protocol's messages are read and written.</summary>
internal static class Protocol
{
    /// <summary>With letters of all alphabets as they are: nothing of this is put into a page.</summary>
    public static ApiJson Json { get; } =
        new(new JsonSerializerOptions(ApiJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
