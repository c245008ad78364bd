namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Kinds of facts and wordings that training never sees: other things, other names, other ways of saying and asking.
/// They judge whether a model learned to look things up, and not only the wordings it was trained on.
/// </summary>
internal static class HeldOutFacts
{
    private static readonly Template[] KeyStatements =
    [
        "[Keep this safe|Write this down|Store this somewhere]: the {S} reads {V}.",
        "To get in you will want the {S}, namely {V}.",
    ];

    private static readonly Template[] KeyQuestions =
    [
        "Time to enter the {S}. The {S} reads {A}",
        "Somebody asks you for the {S}, namely {A}",
    ];

    public static IReadOnlyList<FactSchema> All { get; } =
    [
        new(TaskFamily.Key, "{thing}", "{digits}", KeyStatements, KeyQuestions),
        new(TaskFamily.Key, "{thing}", "{digits}",
            ["It was agreed between them that the {S} should be {V} from now on."],
            ["They had agreed on the {S}. It was agreed that the {S} should be {A}"]),
        new(TaskFamily.Key, "the treasure", "{digits}",
            ["The map shows that {S} lies at marker {V}."],
            ["At which marker does {S} lie? {^S} lies at marker {A}"]),

        new(TaskFamily.Keys, "{name}", "{digits}",
            ["On the register, {S} signs with the {T} {V}."],
            ["Look up {S} on the register: {S} signs with the {T} {A}"]) { Thing = "{thing}" },
        new(TaskFamily.Keys, "{name}", "{digits}",
            ["{S} holds membership number {V}."],
            ["Do you recall which membership number {S} holds? {S} holds membership number {A}"]),

        new(TaskFamily.Fact, "{object}", "{name}",
            ["The {S} was made by {V} many years ago."],
            ["By whom was the {S} made? The {S} was made by {A}"]),
        new(TaskFamily.Fact, "{name}", "{city}",
            ["{S} sails for {V} at dawn."],
            ["For which harbour does {S} sail? {S} sails for {A}"]),
        new(TaskFamily.Fact, "{object}", "{small} pounds",
            ["On the scales the {S} weighs {V}."],
            ["How heavy is the {S}? On the scales the {S} weighs {A}"]),

        new(TaskFamily.Record, "sample {small}", "{digits}",
            ["{^S} measured {V} units."],
            ["Report {S}. {^S} measured {A}"]) { Dense = true },

        new(TaskFamily.Sentence, "{name}",
            "carried the {object} across the {noun}.",
            ["Long after midnight {S} {V}"],
            ["Once more, what happened to {S} long after midnight? Long after midnight {S} {A}"]),
    ];
}
