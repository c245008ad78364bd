using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;

namespace LandmarkSharp.Server.Api;

/// <summary>The field 'landmark' of a request: how its texts are read, and what is told of that.</summary>
internal sealed class LandmarkFields
{
    private const int MostBlocks = 256, MostFocus = 4096, MostPassages = 64, UnaskedPassages = 4;

    /// <summary>
    /// Blocks read per token, k. Not given, as many as the model says, and of memories twice as many where its trained length holds them, unless
    /// the server was started with a number.
    /// </summary>
    public int? TopK { get; set; }

    /// <summary>The share of the landmarks' mass after which no more blocks are chosen; k are the most.</summary>
    public double? Mass { get; set; }

    /// <summary>
    /// How many blocks of the memories are found first, and then read alone: a number for all together, or an array with one for each memory; 0
    /// for none, and all are read.
    /// </summary>
    public JsonElement? Focus { get; set; }

    /// <summary>The session of the memories that is gone on with or begun, and kept after the answer.</summary>
    public string? Session { get; set; }

    /// <summary>The name by which what becomes of the session is kept, in place of its own.</summary>
    public string? Fork { get; set; }

    /// <summary>Passages that come with an answer.</summary>
    public int? Passages { get; set; }

    /// <summary>Whether the whole account of what was read comes with an answer.</summary>
    public bool? Trace { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Refuses what cannot be followed.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="memories">Memories that are asked.</param>
    /// <exception cref="RequestException">A field is not known, out of range, or about something that is not there.</exception>
    public void Check(LandmarkEngine engine, int memories)
    {
        NeutralFields.Check(Others, "landmark.");
        if (engine.Retrieval is null)
            throw RequestException.Field("landmark", "The model that is served has no landmarks; leave the field 'landmark' out.");
        SamplingRequest.Within("landmark.top_k", TopK, 1, MostBlocks);
        SamplingRequest.Within("landmark.passages", Passages, 0, MostPassages);
        if (Mass is not null and not (> 0 and <= 1))
            throw RequestException.Field("landmark.mass", "The field 'landmark.mass' must lie above 0 and not above 1; choose another number.");
        string? Given(object? value, string name) => value is null ? null : $"landmark.{name}";
        if (memories == 0 && (Given(Focus, "focus") ?? Given(Session, "session") ?? Given(Passages, "passages")) is { } field)
            throw RequestException.Field(field, $"The field '{field}' is about memories, and there are none; name some in 'memories', or leave it out.");
        if (Fork is not null && Session is null)
            throw RequestException.Field("landmark.fork", "The field 'landmark.fork' is about a session; name that in 'landmark.session', or leave it out.");
        if (Focuses() is not { } focuses) return;
        var least = Focus!.Value.ValueKind == JsonValueKind.Array ? 1 : 0;
        foreach (var blocks in focuses) SamplingRequest.Within("landmark.focus", blocks, least, MostFocus);
        if (least > 0 && focuses.Length != memories)
            throw RequestException.Field(
                "landmark.focus", $"The field 'landmark.focus' has {focuses.Length} numbers, and 'memories' {memories} names; give a number for each, or one for all.");
        if (Session is not null && focuses is not [0])
            throw RequestException.Field("landmark.focus", "A session that is kept goes on after all blocks of its memories; leave out 'landmark.focus' or 'landmark.session'.");
    }

    /// <summary>How many blocks are to be found first, and whether some of long memories are though that is not said.</summary>
    /// <param name="fields">What is said.</param>
    /// <param name="isQuestion">Whether there is something to find blocks by.</param>
    /// <exception cref="RequestException">Blocks are to be found, and there is nothing to find them by.</exception>
    public static (int[]? Blocks, bool Unasked) FocusOf(LandmarkFields? fields, bool isQuestion) => (fields?.Session, fields?.Focuses()) switch
    {
        (not null, _) or (_, [0]) => (null, false),
        (_, { } blocks) => isQuestion ? (blocks, false)
            : throw RequestException.Field("landmark.focus", "There is no question to find blocks by; ask one, or leave out 'landmark.focus'."),
        _ => (null, isQuestion),
    };

    /// <summary>How sessions read; null for as the engine reads texts.</summary>
    /// <param name="fields">What is said.</param>
    /// <param name="engine">The model.</param>
    /// <param name="ofMemories">Whether memories are asked.</param>
    /// <exception cref="RequestException">The model cannot read so.</exception>
    public static RetrievalOptions? RetrievalOf(LandmarkFields? fields, LandmarkEngine engine, bool ofMemories)
    {
        var (topK, mass) = (fields?.TopK, fields?.Mass);
        if (!ofMemories && topK is null && mass is null) return null;
        try
        {
            var retrieval = ofMemories ? engine.MemoryRetrieval(topK)
                : topK is { } k ? engine.Config.Landmark!.Retrieval(engine.Retrieval!, k) : engine.Retrieval!;
            return (retrieval with { Mass = mass ?? retrieval.Mass }).Checked();
        }
        catch (LandmarkException e)
        {
            throw RequestException.Field("landmark", e.Message);
        }
    }

    /// <summary>The numbers of blocks that are to be found: one for all memories together, or one for each; null where nothing is said.</summary>
    private int[]? Focuses()
    {
        static int Number(JsonElement said) => said.ValueKind == JsonValueKind.Number && said.TryGetInt32(out var blocks) ? blocks : throw RequestException.Field(
            "landmark.focus", "The field 'landmark.focus' must be a number of blocks, or an array with one for each memory; send such.");
        return Focus is not { ValueKind: not JsonValueKind.Null } focus ? null
            : focus.ValueKind == JsonValueKind.Array ? [.. focus.EnumerateArray().Select(Number)] : [Number(focus)];
    }

    /// <summary>Passages that come with an answer from memories.</summary>
    public static int PassagesOf(LandmarkFields? fields) => fields?.Passages ?? UnaskedPassages;
}
