using static LandmarkSharp.Training.Tasks.ChainSchema;

namespace LandmarkSharp.Training.Tasks;

/// <summary>Kinds of chains that training never sees, in words of their own.</summary>
internal static class HeldOutChains
{
    public static IReadOnlyList<ChainSchema> All { get; } =
    [
        new(
            From("{name}", "{object}",
                ["{S} concealed a deed beneath the {V}."],
                ["{S} concealed a deed beneath the {A}"]),
            ["the piece that covers the deed of {S}"],
            To("{object}", "{city}",
                ["Visitors admire the {S} in {V}."],
                ["In which city do visitors admire {T}? They admire it in {A}"])),
        new(
            From("{name}", "{name}",
                ["{S} served as apprentice under {V}."],
                ["{S} served as apprentice under {A}"]),
            ["the one whose apprentice was {S}"],
            To("{name}", "{digits}",
                ["Aboard, {S} sleeps in cabin {V}."],
                ["Which cabin does {T} sleep in? In cabin {A}"])),
        new(
            From("{object}", "{name}",
                ["Last winter the {S} was pawned by {V}."],
                ["The {S} was pawned by {A}"]),
            ["whoever pawned the {S}"],
            To("{name}", "{digits}",
                ["One reaches {S} by dialling {V}."],
                ["What must be dialled to reach {T}? One dials {A}"])),
        new(
            From("{name}", "{city}",
                ["As a child {S} emigrated to {V}."],
                ["As a child {S} emigrated to {A}"]),
            ["the port that {S} emigrated to"],
            To("{city}", "{^invented}",
                ["The ferry bound for {S} goes by the name of {V}."],
                ["By what name goes the ferry bound for {T}? It goes by the name of {A}"])),
        new(
            From("{thing}", "{digits}",
                ["The {S} was stowed in crate {V}."],
                ["The {S} was stowed in crate {A}"]),
            ["the crate with the {S}"],
            To("{digits}", "{name}",
                ["Crate {S} was hauled aboard by {V}."],
                ["Who hauled {T} aboard? It was hauled aboard by {A}"])),
        new(
            From("the {role}", "{object}",
                ["At cards {S} won the {V}."],
                ["At cards {S} won the {A}"]),
            ["the thing that {S} won at cards"],
            To("{object}", "{digits}",
                ["At the auction the {S} fetched {V} guineas."],
                ["How many guineas did {T} fetch at the auction? It fetched {A}"])),
    ];
}
