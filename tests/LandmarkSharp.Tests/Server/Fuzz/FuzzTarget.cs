namespace LandmarkSharp.Tests.Server.Fuzz;

/// <summary>Something that a server answers to, asked in a way that it must refuse however it is damaged further.</summary>
/// <param name="Method">HTTP's method.</param>
/// <param name="Path">The path; <c>{name}</c> stands for any name that there is not.</param>
/// <param name="Body">A body of JSON with fields of every kind, one of which is refused; null for none.</param>
internal sealed record FuzzTarget(string Method, string Path, string? Body = null)
{
    /// <summary>What is fuzzed: a line for each path.</summary>
    public static readonly FuzzTarget[] All =
    [
        new("POST", "/v1/completions", $$$"""{"nothing":1,"model":"{{{ServedModel.Name}}}","prompt":["It was ä dark night","é"],"max_tokens":2,"temperature":0.5,"top_p":0.9,"stop":["x","\u00e9"],"n":2,"seed":3,"logprobs":2,"stream":false,"user":"u","echo":true}"""),
        new("POST", "/v1/completions", $$$"""{"nothing":1,"model":"{{{ServedModel.Name}}}","prompt":[[17,18,19],[20]],"max_tokens":2,"best_of":1,"logit_bias":{"1":2}}"""),
        new("POST", "/v1/chat/completions", $$$"""{"nothing":1,"model":"{{{ServedModel.Name}}}","messages":[{"role":"system","content":"A stone."},{"role":"user","content":[{"type":"text","text":"Who? ä"}]}],"max_tokens":2,"logprobs":true,"top_logprobs":2,"stream":true,"stream_options":{"include_usage":true},"tools":[{}]}"""),
        new("POST", "/v1/memories", """{"nothing":1,"name":"stones","block_type":"int8","echo":true}"""),
        new("POST", "/v1/memories/{name}/search", """{"nothing":1,"query":"Who? ä","top":3,"passages":1,"echo":true}"""),
        new("POST", "/v1/memories/{name}/uploads", """{"nothing":1,"document":"a/b","bytes":7,"sha256":"00","media_type":"text/plain","echo":true}"""),
        new("GET", "/v1/models/{name}"),
        new("GET", "/v1/memories/{name}"),
        new("DELETE", "/v1/memories/{name}"),
        new("PUT", "/v1/memories/stones/documents/{name}"),
        new("GET", "/v1/memories/stones/documents/{name}/text?from=-1&to=99999999999999999999"),
        new("PATCH", "/v1/memories/stones/uploads/{name}"),
    ];
}
